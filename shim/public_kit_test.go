package shim_test

import (
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tunnel"
)

const (
	publicHost   = "calm-heron-42.ngrok-free.dev"
	publicOrigin = "https://" + publicHost
	homeAddr     = "198.51.100.7" // the owner's home IP address
	farAddr      = "203.0.113.9"
)

// A wire is the service behind a test's tunnels.
type wire struct {
	t testing.TB

	mu     sync.Mutex
	refuse func(tunnel.Wish) error // nil accepts all wishes
	moved  string                  // the origin that every tunnel gets, "" for the one it asks for
	addr   string                  // of the last listener that was opened
	wishes []tunnel.Wish
}

// tunnel returns a tunnel that listens on loopback.
func (w *wire) tunnel(wish tunnel.Wish) tunnel.Tunnel {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wishes = append(w.wishes, wish)
	return &wiredTunnel{w, wish}
}

// move gives another origin to the tunnels that open from now on.
func (w *wire) move(origin string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moved = origin
}

func (w *wire) wished() []tunnel.Wish {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.wishes)
}

// client answers every self-test as the tunnel would if it worked.
func (w *wire) client() *http.Client { return &http.Client{Transport: selfTestEcho{}} }

type selfTestEcho struct{}

func (selfTestEcho) RoundTrip(r *http.Request) (*http.Response, error) {
	body := io.NopCloser(strings.NewReader(path.Base(r.URL.Path)))
	return &http.Response{StatusCode: http.StatusOK, Header: make(http.Header), Body: body, Request: r}, nil
}

type wiredTunnel struct {
	wire *wire
	wish tunnel.Wish
}

func (x *wiredTunnel) Provider() string                { return x.wish.Provider }
func (*wiredTunnel) ClientHeader() tunnel.ClientHeader { return tunnel.LastForwardedFor }

func (x *wiredTunnel) Open(ctx context.Context, known string) (net.Listener, string, error) {
	w := x.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse != nil {
		if err := w.refuse(x.wish); err != nil {
			return nil, "", err
		}
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	w.addr = ln.Addr().String()
	return &wiredListener{Listener: ln}, cmp.Or(w.moved, x.wish.URL, known, publicOrigin), nil
}

// A wiredListener is a tunnel.Link of ngrok's free plan that never breaks.
type wiredListener struct{ net.Listener }

func (*wiredListener) Changes() <-chan struct{} { return nil }
func (*wiredListener) State() tunnel.LinkState  { return tunnel.LinkState{Online: true, Plan: "Free"} }
func (*wiredListener) Kick() bool               { return true }
func (*wiredListener) Alive() bool              { return true }
func (*wiredListener) Disconnect()              {}

// far returns a client on the internet with this IP address.
func (p *program) far(from string) *shimtest.FarClient {
	p.wire.mu.Lock()
	defer p.wire.mu.Unlock()
	return &shimtest.FarClient{Host: publicHost, Addr: p.wire.addr, From: from}
}

// farBrowser returns a browser on the internet.
func (p *program) farBrowser(from string) *shimtest.Browser {
	b := shimtest.NewBrowser(p.t, publicOrigin)
	b.HTTP.Transport = p.far(from)
	return b
}

// farClient registers a client at the public origin.
func (p *program) farClient(redirect, resource string) *shimtest.OAuthClient {
	p.t.Helper()
	c := shimtest.NewOAuthClientVia(p.t, p.far(farAddr).Client(), publicOrigin, redirect)
	c.Resource = resource
	return c
}

// startPublic runs a shim with its tunnel turned on.
func startPublic(t testing.TB) *program {
	t.Helper()
	p := startConfig(t, shim.Config{Dir: t.TempDir(), Tunnel: shim.TunnelConfig{Mode: api.TunnelNgrok, Authtoken: tunnel.NewAuthtoken("canary-authtoken")}}, "127.0.0.1:0")
	p.waitOnline()
	return p
}

func (p *program) waitOnline() {
	p.t.Helper()
	waitFor(p.t, "the tunnel", func() bool { return p.shim.Status().Tunnel.State == api.TunnelOnline })
}

// continueLink returns where a public page leads on this computer.
func continueLink(t testing.TB, p *program, page *shimtest.Page) string {
	t.Helper()
	_, rest, ok := strings.Cut(page.Body, `href="`+p.origin+`/consent/`)
	id, _, ok2 := strings.Cut(rest, `"`)
	if !ok || !ok2 || page.Status != http.StatusOK {
		t.Fatalf("page %s (%d) leads nowhere on this computer:\n%s", page.URL, page.Status, page.Body)
	}
	return p.origin + "/consent/" + id
}
