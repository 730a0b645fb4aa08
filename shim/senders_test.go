package shim_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"html"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/external"
)

// ownOrigin has a name for which httptest has a certificate.
const ownOrigin = "https://example.com"

// An ownProxy is a reverse proxy of the owner's own, with https, that leads to
// the program.
type ownProxy struct {
	to    string // the program's listener for it
	front *httptest.Server
	habit atomic.Value // what it does to X-Forwarded-For
}

// The habits of an ownProxy.
const (
	appends  = "appends"  // says who sent a request
	passes   = "passes"   // passes on what the sender wrote
	believes = "believes" // says who sent a request unless the sender did
)

func newOwnProxy(t *testing.T) *ownProxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &ownProxy{to: ln.Addr().String()}
	ln.Close()
	x.front = httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: x.to})
		r.Out.Host = r.In.Host
		from := r.In.Header.Get("Test-From")
		if from == "" {
			from = homeAddr
		}
		all := r.In.Header["X-Forwarded-For"]
		if habit := x.habit.Load(); habit == appends || habit == believes && len(all) == 0 {
			all = []string{strings.Join(append(all, from), ", ")}
		}
		r.Out.Header["X-Forwarded-For"] = all
	}})
	t.Cleanup(func() { x.front.CloseClientConnections(); x.front.Close() })
	return x
}

// client goes out to the internet and in by the proxy.
func (x *ownProxy) client() *http.Client {
	cas := x509.NewCertPool()
	cas.AddCert(x.front.Certificate())
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, x.front.Listener.Addr().String())
		},
		TLSClientConfig: &tls.Config{RootCAs: cas},
	}}
}

// start runs a program behind the proxy.
func (x *ownProxy) start(t *testing.T, preset string) *program {
	t.Helper()
	p := startConfig(t, shim.Config{Dir: t.TempDir(), Outside: x.client, Tunnel: shim.TunnelConfig{
		Mode: api.TunnelExternal, URL: ownOrigin, Preset: preset, Listener: x.to,
		New: func(w tunnel.Wish) tunnel.Tunnel {
			return &external.Tunnel{URL: w.URL, Addr: x.to, Preset: w.Preset}
		},
	}}, "127.0.0.1:0")
	p.waitOnline()
	return p
}

// register registers a client from an address, which claims to be another one.
func (x *ownProxy) register(t *testing.T, from, claim string) int {
	t.Helper()
	req, err := http.NewRequest("POST", ownOrigin+"/register", strings.NewReader(`{"redirect_uris":["http://localhost/cb"],"token_endpoint_auth_method":"none"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Test-From", from)
	if claim != "" {
		req.Header.Set("X-Forwarded-For", claim)
	}
	res, err := x.client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// TestSendersOfOwnTunnel: the self-test of a tunnel without a preset learns who
// sends requests, and the status and the page say so if that cannot be known.
func TestSendersOfOwnTunnel(t *testing.T) {
	for _, tt := range []struct {
		name, preset string
		habit        string
		apart        bool
	}{
		{"the tunnel names them", "", appends, true},
		{"the tunnel names no sender", "", passes, false},
		{"the tunnel believes strangers", "", believes, false},
		{"the preset is right", "caddy", appends, true},
		{"the preset is wrong", "caddy", passes, false},
		{"the preset trusts strangers", "caddy", believes, false},
		{"the preset is another's", "cloudflared", appends, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newOwnProxy(t)
			x.habit.Store(tt.habit)
			p := x.start(t, tt.preset)
			if status, out := p.api("POST", "/api/tunnel/test", nil); out["ok"] != true {
				t.Fatalf("the self-test = %d %v", status, out)
			}
			want := ""
			if !tt.apart {
				want = web.TextSendersMixed
			}
			if got := p.shim.Status().Tunnel.Senders; got != want {
				t.Errorf("the status says %q, want %q", got, want)
			}
			if page := p.owner().Open("/tunnel"); strings.Contains(html.UnescapeString(page.Body), web.TextSendersMixed) != !tt.apart {
				t.Errorf("the page says that senders are mixed: %v", tt.apart)
			}
			// One stranger uses up the limit of one sender, with claims to be another.
			refused := 0
			for range 100 {
				if x.register(t, "203.0.113.66", farAddr) == http.StatusTooManyRequests {
					refused++
				}
			}
			if (refused > 0) != tt.apart {
				t.Errorf("%d of 100 registrations of a stranger were refused", refused)
			}
			if status := x.register(t, farAddr, ""); status != http.StatusCreated {
				t.Errorf("the registration of another = %d, want 201", status)
			}
		})
	}
}

// TestSendersLearnedAnew: when the tunnel changes its habits, the next self-test
// says so.
func TestSendersLearnedAnew(t *testing.T) {
	x := newOwnProxy(t)
	p := x.start(t, "")
	for _, habit := range []string{appends, passes, appends} {
		x.habit.Store(habit)
		if status, out := p.api("POST", "/api/tunnel/test", nil); out["ok"] != true {
			t.Fatalf("the self-test = %d %v", status, out)
		}
		if got := p.shim.Status().Tunnel.Senders; (got == "") != (habit == appends) {
			t.Errorf("the tunnel %s, and the status says %q", habit, got)
		}
	}
}
