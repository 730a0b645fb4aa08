package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tunnel"
)

// externalOrigin has a name for which httptest has a certificate.
const externalOrigin = "https://example.com"

// An ownTunnel is a tunnel that the owner runs. It accepts https and passes
// requests on to an address of this machine.
type ownTunnel struct {
	*world
	at    string                                          // where it accepts https
	addr  string                                          // where it sends requests
	wrong atomic.Bool                                     // it leads to another server
	front atomic.Pointer[func(http.Handler) http.Handler] // what stands in front of it
}

func newOwnTunnel(t testing.TB) *ownTunnel {
	t.Helper()
	o := &ownTunnel{addr: freeAddr(t)}
	to := &url.URL{Scheme: "http", Host: o.addr}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
		r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
		r.SetXForwarded()                                 // appends, as Caddy does if it trusts the proxy in front of it
		r.Out.Header.Set("Cf-Connecting-Ip", "127.0.0.1") // as Cloudflare sets it in every request, a self-test too
		if from := r.In.Header.Get(fromHeader); from != "" {
			r.Out.Header.Del(fromHeader)
			r.Out.Header.Set("Cf-Connecting-Ip", from)
			r.Out.Header.Set("X-Forwarded-For", strings.Join(append(r.In.Header["X-Forwarded-For"], from), ", "))
		}
	}}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex() // as relay does, and for the same reason
		if o.wrong.Load() {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<!doctype html><title>Log in</title>")
			return
		}
		through := http.Handler(proxy)
		if front := o.front.Load(); front != nil {
			through = (*front)(proxy)
		}
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	o.at = srv.Listener.Addr().String()
	cas := x509.NewCertPool()
	cas.AddCert(srv.Certificate())
	o.world = &world{ca: filepath.Join(t.TempDir(), "own.pem"), origin: externalOrigin}
	o.client = func(bool) *http.Client {
		return &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, o.at)
			},
			TLSClientConfig: &tls.Config{RootCAs: cas},
		}}
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(o.ca, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return o
}

// start starts a program behind o.
func (o *ownTunnel) start(t testing.TB) *app {
	t.Helper()
	a := startExe(t, built(t, buildForTests), "KEY2OAUTH_TEST_EDGE="+o.at, "KEY2OAUTH_TEST_EDGE_CA="+o.ca,
		"KEY2OAUTH_TUNNEL=external", "KEY2OAUTH_PUBLIC_URL="+externalOrigin, "KEY2OAUTH_PUBLIC_ADDR="+o.addr)
	a.world = o.world
	return a
}

// waitListening waits until the program listens where the tunnel leads.
func (o *ownTunnel) waitListening(t testing.TB, a *app) {
	t.Helper()
	eventually(t, patience, "the program listens for the tunnel", func() bool { return a.tunnel().State == "online" })
}

// TestX06N01ExternalTunnel serves through a tunnel that the owner runs.
func TestX06N01ExternalTunnel(t *testing.T) {
	t.Parallel()
	o := newOwnTunnel(t)
	a := o.start(t)
	if want := "public=" + externalOrigin + " "; !strings.Contains(a.out.String(), want) {
		t.Errorf("the ready line does not say %q:\n%s", want, a.out)
	}
	o.waitListening(t, a)
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	e := a.addEndpoint("Linear", up.URL, "")
	if want := externalOrigin + "/" + e.Slug + "/mcp"; e.MCP != want {
		t.Errorf("the endpoint is at %s, want %s", e.MCP, want)
	}
	u := signedIn(t, a, a.url(e), up.Key())
	u.mustCall("signed in")
	u.mustRefresh("signed in", u.Refresh)
	a.kill()
	a.start()
	o.waitListening(t, a)
	u.mustAll("restarted")

	t.Run("X06 only public routes", func(t *testing.T) {
		for _, path := range []string{"/", "/activity", "/api/status", "/api/slugs", "/api/tunnel", "/open", "/consent/x", "/servers", "/tunnel"} {
			if got := get(t, o.client(false), externalOrigin+path); got.Status != http.StatusNotFound {
				t.Errorf("GET %s = %d, want 404", path, got.Status)
			}
		}
		for _, host := range []string{a.addr, o.addr, "localhost", "evil.example", "example.com:444"} {
			req, err := http.NewRequest("GET", "http://"+o.addr+"/.well-known/oauth-authorization-server", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			if got := send(t, fresh, req); got.Status != http.StatusMisdirectedRequest {
				t.Errorf("Host %s = %d, want 421", host, got.Status)
			}
		}
		req, err := http.NewRequest("GET", a.origin+"/.well-known/oauth-authorization-server", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "example.com"
		if got := send(t, fresh, req); got.Status != http.StatusMisdirectedRequest {
			t.Errorf("the public Host on loopback = %d, want 421", got.Status)
		}
	})
	t.Run("N01 self-test", func(t *testing.T) {
		var got struct {
			OK    bool
			Words string
		}
		if a.api("POST", "/api/tunnel/test", nil, &got); !got.OK {
			t.Errorf("the self-test says %q, want that all is well", got.Words)
		}
		o.wrong.Store(true)
		defer o.wrong.Store(false)
		if a.api("POST", "/api/tunnel/test", nil, &got); got.OK || !strings.Contains(got.Words, tunnel.ProblemOf(tunnel.CauseProbeHTML).Words) {
			t.Errorf("for a tunnel that leads elsewhere the self-test says %v %q", got.OK, got.Words)
		}
	})
}

// TestExternalSenders notifies the owner over and over through each kind of
// tunnel. The program must distinguish senders by what the tunnel says about
// them, and never by what they claim. A single sender may ask five times and
// then three times a minute. Senders who cannot be told apart share so much that
// one of them does not keep the others from asking. No machine is so slow that
// it does not matter.
func TestExternalSenders(t *testing.T) {
	t.Parallel()
	o := newOwnTunnel(t)
	a := o.start(t)
	o.waitListening(t, a)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	e := a.addEndpoint("Linear", up.URL, "")
	client := oauthClient(t, a, "https://client.example/callback", a.url(e))
	for i, tt := range []struct {
		preset string
		apart  bool // senders have separate limits
	}{{"caddy", true}, {"tailscale", true}, {"cloudflared", true}, {"", false}} {
		t.Run("preset "+tt.preset, func(t *testing.T) {
			a.api("PUT", "/api/tunnel", map[string]string{"provider": "external", "url": externalOrigin, "preset": tt.preset}, nil)
			o.waitListening(t, a)
			http.DefaultClient.CloseIdleConnections() // of the tunnel, to the listener before
			flooder := beginFrom(t, o, client, fmt.Sprintf("203.0.113.%d", 10+i))
			const flood = 300
			n := 0
			for n < flood && flooder.ask(fmt.Sprintf("198.51.100.%d", n%250)) {
				n++
			}
			if tt.apart && (n < 5 || n >= 50) || !tt.apart && n < flood {
				t.Errorf("%d requests went through before one was refused", n)
			}
			other := beginFrom(t, o, client, fmt.Sprintf("203.0.113.%d", 20+i))
			if !other.ask(flooder.from) {
				t.Error("a request from another address is refused")
			}
		})
	}
}

// A sender is a browser on the internet with a request that can notify the
// owner.
type sender struct {
	*shimtest.Browser
	t    *testing.T
	from string // its address
	via  *claiming
	form shimtest.Form
}

// A claiming transport sends requests through an owner's tunnel from one
// address, and claims that they come from another.
type claiming struct {
	base    http.RoundTripper
	claimed string
}

// RoundTrip implements http.RoundTripper.
func (c *claiming) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.claimed != "" {
		r = r.Clone(r.Context())
		r.Header.Set("X-Forwarded-For", c.claimed)
	}
	return c.base.RoundTrip(r)
}

// beginFrom opens an authorization request at an address.
func beginFrom(t *testing.T, o *ownTunnel, c *shimtest.OAuthClient, from string) *sender {
	t.Helper()
	s := &sender{Browser: shimtest.NewBrowser(t, o.origin), t: t, from: from, via: &claiming{base: fromAddr{from, o.client(false).Transport}}}
	s.HTTP.Transport = s.via
	page := s.Open(c.AuthorizeURL())
	if page.Status != http.StatusOK || len(page.Forms) != 1 {
		t.Fatalf("GET /authorize = %d with %d forms", page.Status, len(page.Forms))
	}
	s.form = page.Forms[0]
	return s
}

// ask notifies the owner, with a claim of another address, and reports whether
// that was allowed.
func (s *sender) ask(claimed string) bool {
	s.t.Helper()
	s.via.claimed = claimed
	switch page := s.Submit(s.form, nil); page.Status {
	case http.StatusOK:
		return true
	case http.StatusTooManyRequests:
		return false
	default:
		s.t.Fatalf("asking = %d", page.Status)
		return false
	}
}

// TestExternalPortTaken starts while another program has the port.
func TestExternalPortTaken(t *testing.T) {
	t.Parallel()
	o := newOwnTunnel(t)
	ln, err := net.Listen("tcp", o.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a := o.start(t)
	eventually(t, patience, "the status says that the port is taken", func() bool {
		st := a.tunnel()
		return st.State == "retrying" && st.Words == tunnel.ProblemOf(tunnel.CausePortTaken).Words && st.Next != ""
	})
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	signedInHere(t, a, a.addEndpoint("Linear", up.URL, ""), up.Key()).mustCall("with the port taken")
	ln.Close()
	o.waitListening(t, a)
}
