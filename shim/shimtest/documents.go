package shimtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

//go:embed clients.json
var vendorDocuments []byte

// A VendorDocument is a client ID metadata document as its vendor served it.
type VendorDocument struct {
	Seen     string
	Partial  bool // has only the recorded members
	Note     string
	Document map[string]any
}

// ID returns the document's client id.
func (d VendorDocument) ID() string { return d.Document["client_id"].(string) }

// Redirect returns the last of the client's redirect URIs, with the port that
// a native client chooses, RFC 8252, Section 7.3.
func (d VendorDocument) Redirect() string {
	uris := d.Document["redirect_uris"].([]any)
	uri := uris[len(uris)-1].(string)
	return strings.Replace(uri, "http://127.0.0.1/", "http://127.0.0.1:54321/", 1)
}

// VendorDocuments returns the documents of well-known clients.
func VendorDocuments(t testing.TB) []VendorDocument {
	t.Helper()
	var all struct{ Documents []VendorDocument }
	if err := json.Unmarshal(vendorDocuments, &all); err != nil {
		t.Fatal(err)
	}
	return all.Documents
}

// NewDocumentClient returns a client whose id is the URL of its document. It
// does not register.
func NewDocumentClient(t testing.TB, issuer, id, redirect string) *OAuthClient {
	return &OAuthClient{t: t, http: fresh, Issuer: issuer, ID: id, Redirect: redirect, Verifier: rand.Text() + rand.Text(), State: rand.Text()}
}

// Documents is a web server that stands in for all hosts of client ID metadata
// documents. It counts its requests.
type Documents struct {
	t    testing.TB
	Addr string
	Pool *x509.CertPool

	srv *httptest.Server
	ca  *x509.Certificate
	key *ecdsa.PrivateKey

	mu       sync.Mutex
	handlers map[string]http.Handler
	requests []*http.Request
	certs    map[string]*tls.Certificate
}

// NewDocuments starts a server without documents.
func NewDocuments(t testing.TB) *Documents {
	t.Helper()
	d := &Documents{t: t, handlers: make(map[string]http.Handler), certs: make(map[string]*tls.Certificate)}
	d.makeCA()
	d.srv = httptest.NewUnstartedServer(d)
	d.srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	d.srv.EnableHTTP2 = true
	d.srv.TLS = &tls.Config{GetCertificate: d.certificate}
	d.srv.StartTLS()
	d.Addr = d.srv.Listener.Addr().String()
	t.Cleanup(func() { d.srv.CloseClientConnections(); d.srv.Close() })
	return d
}

// ServeHTTP answers for all hosts.
func (d *Documents) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := "https://" + r.Host + r.URL.RequestURI()
	d.mu.Lock()
	d.requests = append(d.requests, r.Clone(context.Background()))
	h := d.handlers[id]
	d.mu.Unlock()
	if h == nil {
		http.NotFound(w, r)
		return
	}
	h.ServeHTTP(w, r)
}

// Publish serves doc at its client id, with headers given as names and values.
func (d *Documents) Publish(doc map[string]any, headers ...string) {
	d.t.Helper()
	b, err := json.Marshal(doc)
	if err != nil {
		d.t.Fatal(err)
	}
	d.Handle(doc["client_id"].(string), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.Write(b)
	}))
}

// Handle sets the handler for one URL. A nil handler makes it 404 again.
func (d *Documents) Handle(id string, h http.Handler) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.handlers[id] = h
}

// Handler returns the handler for a URL.
func (d *Documents) Handler(id string) http.Handler {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.handlers[id]
}

// Requests returns the requests so far.
func (d *Documents) Requests() []*http.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]*http.Request(nil), d.requests...)
}

// Fetches counts the requests so far.
func (d *Documents) Fetches() int { return len(d.Requests()) }

// Transport connects to the server for every host.
func (d *Documents) Transport() *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, d.Addr)
		},
		TLSClientConfig:   &tls.Config{RootCAs: d.Pool},
		ForceAttemptHTTP2: true,
		DisableKeepAlives: true,
	}
}

// CertFile writes the authority's certificate to a file, for SSL_CERT_FILE.
func (d *Documents) CertFile() string {
	d.t.Helper()
	name := filepath.Join(d.t.TempDir(), "ca.pem")
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.ca.Raw})
	if err := os.WriteFile(name, b, 0o600); err != nil {
		d.t.Fatal(err)
	}
	return name
}

func (d *Documents) makeCA() {
	d.t.Helper()
	var err error
	if d.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		d.t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &d.key.PublicKey, d.key)
	if err != nil {
		d.t.Fatal(err)
	}
	if d.ca, err = x509.ParseCertificate(der); err != nil {
		d.t.Fatal(err)
	}
	d.Pool = x509.NewCertPool()
	d.Pool.AddCert(d.ca)
}

// certificate makes a certificate for the host that a client requests.
func (d *Documents) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	host := hello.ServerName
	if c := d.certs[host]; c != nil {
		return c, nil
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(d.certs) + 2)), DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, d.ca, &d.key.PublicKey, d.key)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: d.key}
	d.certs[host] = c
	return c, nil
}
