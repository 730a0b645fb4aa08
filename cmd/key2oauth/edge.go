//go:build !k2otest

package main

import (
	"crypto/x509"
	"net/http"
)

// A testEdge stands in for ngrok in tests. The shipped program has none, since
// a setting for it would let another program read everything that passes.
type testEdge struct {
	addr string
	cas  *x509.CertPool
}

func readTestEdge() (testEdge, error) { return testEdge{}, nil }

// client is for going out to our own public address.
func (testEdge) client() *http.Client {
	return probeClient(http.DefaultTransport.(*http.Transport).Clone())
}
