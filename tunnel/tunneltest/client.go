package tunneltest

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
)

// Client returns a client that reaches the edge for every https host, as if the
// edge were the internet. It speaks HTTP/2 if http2 is set.
func (e *Edge) Client(http2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	return &http.Client{Transport: &http.Transport{
		DialContext:     e.Dial,
		TLSClientConfig: &tls.Config{RootCAs: e.CA()},
		Protocols:       protocols,
	}}
}

// Dial connects to the edge, no matter what address it is given.
func (e *Edge) Dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, e.Addr())
}

// Proxy starts an HTTP proxy on the first call and returns its URL. Every host
// that a client connects to through it is the edge. It is for clients that can
// be given a proxy and a certificate, but not an address. It lives until Close.
func (e *Edge) Proxy() (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.proxy != nil {
		return "http://" + e.proxy.Addr, nil
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	e.proxy = &http.Server{
		Addr:     ln.Addr().String(),
		Handler:  http.HandlerFunc(e.connect),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go e.proxy.Serve(ln)
	return "http://" + e.proxy.Addr, nil
}

// connect serves CONNECT.
func (e *Edge) connect(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect || !strings.HasSuffix(r.Host, ":443") {
		http.Error(w, "only CONNECT to port 443", http.StatusMethodNotAllowed)
		return
	}
	there, err := e.Dial(r.Context(), "tcp", "")
	if err != nil {
		http.Error(w, "the edge is closed", http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	if _, err := io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { io.Copy(there, buffered); closeWrite(there) })
	wg.Go(func() { io.Copy(here, there); closeWrite(here) })
	wg.Wait()
}

func closeWrite(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.CloseWrite()
	}
}
