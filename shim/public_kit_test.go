package shim_test

import (
	"cmp"
	"context"
	"net"
	"net/http"
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
	homeAddr     = "198.51.100.7" // of the owner's home in the world
	farAddr      = "203.0.113.9"
)

// A wire is a tunnel that tests open and close by hand: it says what it is
// told to, and serves what comes to its listener.
type wire struct {
	t    testing.TB
	shim *shim.Shim

	// answer is what comes of a wish. nil means that it works.
	answer func(shim.TunnelWish) api.TunnelStatus

	mu     sync.Mutex
	addr   string // of the listener while there is one
	wishes []shim.TunnelWish
	status api.TunnelStatus
	told   chan struct{} // closed when the shim knows of status
	close  func()
}

func (w *wire) ParseURL(s string) (string, error) { return tunnel.ParseOrigin(s) }

func (w *wire) Want(wish shim.TunnelWish) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wishes = append(w.wishes, wish)
	if w.close != nil {
		w.close()
		w.close = nil
	}
	switch {
	case wish.Provider == api.TunnelOff:
		w.status = api.TunnelStatus{Provider: wish.Provider, State: api.TunnelOff}
	case wish.Paused:
		w.status = api.TunnelStatus{Provider: wish.Provider, State: api.TunnelPaused}
	case w.answer != nil:
		w.status = w.answer(wish)
	default:
		origin := cmp.Or(wish.URL, wish.Known, publicOrigin)
		w.serve(origin)
		w.status = api.TunnelStatus{Provider: wish.Provider, State: api.TunnelOnline, Origin: origin, Plan: "Free", MaxRequests: 20_000, MaxBytes: 1 << 30}
	}
	// In the order of the wishes, as the supervisor tells it.
	before, told, status := w.told, make(chan struct{}), w.status
	w.told = told
	go func() {
		defer close(told)
		if before != nil {
			<-before
		}
		w.shim.SetTunnelStatus(status)
	}()
}

// serve opens the tunnel. The caller holds mu.
func (w *wire) serve(origin string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Error(err)
		return
	}
	w.addr = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- w.shim.ServePublic(ctx, ln, shim.PublicConfig{Origin: origin, AddrHeader: "X-Forwarded-For"})
	}()
	w.close = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("ServePublic: %v", err)
		}
	}
}

func (w *wire) Settled(context.Context) api.TunnelStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

func (w *wire) Test(context.Context) (string, bool) { return "", true }

func (w *wire) wished() []shim.TunnelWish {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]shim.TunnelWish(nil), w.wishes...)
}

func (w *wire) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.close != nil {
		w.close()
		w.close = nil
	}
}

// far is somebody on the internet with this address.
func (p *program) far(from string) *shimtest.Far {
	p.wire.mu.Lock()
	defer p.wire.mu.Unlock()
	return &shimtest.Far{Host: publicHost, Addr: p.wire.addr, From: from}
}

// farBrowser is a browser on the internet.
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
	p := startConfig(t, shim.Config{Dir: t.TempDir(), Tunnel: shim.TunnelConfig{Mode: api.TunnelNgrok, Authtoken: shim.NewSecret("canary-authtoken")}}, "127.0.0.1:0")
	p.waitOnline()
	return p
}

func (p *program) waitOnline() {
	p.t.Helper()
	waitFor(p.t, "the tunnel", func() bool { return p.shim.Status().Tunnel.State == api.TunnelOnline })
}

// continueLink is where the page of a public origin leads on this computer.
func continueLink(t testing.TB, p *program, page *shimtest.Page) string {
	t.Helper()
	_, rest, ok := strings.Cut(page.Body, `href="`+p.origin+`/consent/`)
	id, _, ok2 := strings.Cut(rest, `"`)
	if !ok || !ok2 || page.Status != http.StatusOK {
		t.Fatalf("page %s (%d) leads nowhere on this computer:\n%s", page.URL, page.Status, page.Body)
	}
	return p.origin + "/consent/" + id
}
