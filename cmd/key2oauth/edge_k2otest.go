//go:build k2otest

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
)

// A testEdge stands in for ngrok. Agents and the public connect to the same
// address; cas signed its certificates.
type testEdge struct {
	addr string
	cas  *x509.CertPool
}

func readTestEdge() (testEdge, error) {
	e := testEdge{addr: os.Getenv("KEY2OAUTH_TEST_EDGE")}
	if file := os.Getenv("KEY2OAUTH_TEST_EDGE_CA"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return e, err
		}
		e.cas = x509.NewCertPool()
		if !e.cas.AppendCertsFromPEM(pem) {
			return e, fmt.Errorf("%s holds no certificate", file)
		}
	}
	return e, nil
}

func (e testEdge) client() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	if e.addr != "" {
		t.Proxy = nil
		t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, e.addr)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: e.cas}
	}
	return probeClient(t)
}
