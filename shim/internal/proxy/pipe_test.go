package proxy

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// A pipeNet is a network without sockets. Servers and clients on it use the
// fake time of a synctest bubble.
type pipeNet struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeNet() *pipeNet { return &pipeNet{conns: make(chan net.Conn), done: make(chan struct{})} }

func (n *pipeNet) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.done:
		return nil, net.ErrClosed
	}
}
func (n *pipeNet) Close() error   { n.once.Do(func() { close(n.done) }); return nil }
func (n *pipeNet) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (n *pipeNet) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case n.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A pipeClient is the upstream's client on a pipeNet.
type pipeClient struct{ http.RoundTripper }

func (c pipeClient) Send(r *http.Request) (*http.Response, error) { return c.RoundTrip(r) }
func (pipeClient) Tells(context.Context, upstream.Target) bool    { return false }

func (pipeClient) Probe(context.Context, upstream.Target) (bool, error) { return false, nil }

// pipeBench runs f in a bubble with a proxy between a client and answer.
func pipeBench(t *testing.T, answer http.HandlerFunc, call func(*Call), f func(t *testing.T, client *http.Client, outcome func() Outcome)) {
	synctest.Test(t, func(t *testing.T) {
		up, down := newPipeNet(), newPipeNet()
		toUp := &http.Transport{DialContext: up.dial}
		toDown := &http.Transport{DialContext: down.dial}
		p := &Proxy{Client: pipeClient{toUp}, Log: slog.New(slog.DiscardHandler)}
		var last atomic.Pointer[Outcome]
		c := Call{Slug: "s1", Name: "Linear", Grant: "g1", CredentialID: "c1", Upstream: &upstream.Target{
			URL: &url.URL{Scheme: "http", Host: "up.example", Path: "/mcp"}, Header: endpoint.DefaultHeader}}
		c.Report = func(o Outcome) { last.Store(&o) }
		if call != nil {
			call(&c)
		}
		quiet := slog.NewLogLogger(slog.DiscardHandler, 0)
		upstreamServer := &http.Server{Handler: answer, ErrorLog: quiet}
		proxyServer := &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := c
			p.ServeHTTP(w, r, &c)
		})}
		var wg sync.WaitGroup
		wg.Go(func() { upstreamServer.Serve(up) })
		wg.Go(func() { proxyServer.Serve(down) })
		f(t, &http.Client{Transport: toDown}, func() Outcome {
			synctest.Wait()
			if o := last.Load(); o != nil {
				return *o
			}
			t.Error("got no outcome")
			return Outcome{}
		})
		toDown.CloseIdleConnections()
		toUp.CloseIdleConnections()
		proxyServer.Close()
		upstreamServer.Close()
		wg.Wait()
		synctest.Wait()
	})
}

func post(t *testing.T, client *http.Client, body string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://proxy.example/s1/mcp", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func flush(w http.ResponseWriter, s string) {
	io.WriteString(w, s)
	http.NewResponseController(w).Flush()
}
