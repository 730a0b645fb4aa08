package upstream

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// A connectProxy passes connections on, wherever to, and keeps what it sees.
type connectProxy struct {
	*httptest.Server
	to string // where every connection goes

	mu   sync.Mutex
	asks []string // CONNECT targets
	seen strings.Builder
}

func newConnectProxy(t *testing.T, to string) *connectProxy {
	p := &connectProxy{to: to}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asks = append(p.asks, r.Method+" "+r.Host)
		p.mu.Unlock()
		if r.Method != http.MethodConnect {
			http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
			return
		}
		far, err := net.Dial("tcp", p.to)
		if err != nil {
			http.Error(w, "no", http.StatusBadGateway)
			return
		}
		near, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { io.Copy(near, far); near.Close() }()
		io.Copy(far, io.TeeReader(near, p))
		far.Close()
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *connectProxy) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.Write(b)
}

func (p *connectProxy) find(*http.Request) (*url.URL, error) { return url.Parse(p.URL) }

// An https upstream is reached through a proxy if the owner wants that, and the
// proxy does not see the key.
func TestUseProxy(t *testing.T) {
	const key = "sk-through-a-proxy-0123"
	u := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+key {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer u.Close()
	p := newConnectProxy(t, u.Listener.Addr().String())
	c := newClient(t)
	c.TrustRoots(u.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs)
	c.FindProxy = p.find
	tg := &Target{URL: &url.URL{Scheme: "https", Path: "/mcp"}, Header: endpoint.DefaultHeader, Key: endpoint.NewSecret(key)}
	for _, on := range []bool{false, true, true, false} {
		c.UseProxy(on)
		before := len(p.asks)
		// The certificate of httptest is valid for this name, and it is never resolved.
		if on {
			tg.URL.Host = "example.com"
		} else {
			tg.URL.Host = u.Listener.Addr().String()
		}
		resp, err := post(t, c, tg, tg.URL.String(), nil, strings.NewReader(initializeBody))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("got %d", resp.StatusCode)
		}
		if !on && len(p.asks) != before {
			t.Error("the proxy was used although it is off")
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asks) == 0 || p.asks[0] != "CONNECT example.com:443" {
		t.Errorf("the proxy was asked for %q", p.asks)
	}
	if p.seen.Len() == 0 || strings.Contains(p.seen.String(), key) {
		t.Error("the proxy saw the key, or nothing")
	}
}

// What must not be connected to must not be connected to through a proxy, which
// is asked for https alone.
func TestUseProxyRefuses(t *testing.T) {
	up := shimtest.NewUpstream(t, shimtest.Options{})
	p := newConnectProxy(t, "127.0.0.1:1")
	c := New(&safedial.Guard{OwnName: func(host, port string) bool { return host == "own.example" && port == "443" }})
	t.Cleanup(c.CloseIdleConnections)
	c.FindProxy = p.find
	c.UseProxy(true)
	for _, to := range []string{"https://169.254.169.254/mcp", "https://own.example/mcp", "https://own.example.:443/mcp", "https://[fd00:ec2::254]/mcp", "https://[::ffff:169.254.169.254]/mcp"} {
		u, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		_, err = post(t, c, &Target{URL: u, Header: endpoint.DefaultHeader, Key: endpoint.NewSecret("sk-proxy-0123456789")}, to, nil, strings.NewReader("{}"))
		if _, ok := errors.AsType[*safedial.RefusedError](err); !ok {
			t.Errorf("%s: got %v, want a Refused", to, err)
		}
	}
	resp, err := post(t, c, target(t, up, endpoint.DefaultHeader), up.URL, nil, strings.NewReader(initializeBody))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if len(p.asks) != 0 {
		t.Errorf("the proxy was asked for %q", p.asks)
	}
}

// Where a direct connection fails and there is a proxy that is not used, the
// words name it.
func TestExplainProxy(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close() // nothing answers there now
	for _, tt := range []struct {
		name, scheme, variable string
		use, want              bool
	}{
		{"no proxy", "https", "", false, false},
		{"a proxy", "https", "http://127.0.0.1:1", false, true},
		{"a proxy that is used", "https", "http://127.0.0.1:1", true, false},
		{"plain http", "http", "http://127.0.0.1:1", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("HTTPS_PROXY", tt.variable)
			t.Setenv("https_proxy", "")
			c := newClient(t)
			c.FindProxy = func(*http.Request) (*url.URL, error) { return url.Parse(tt.variable) }
			c.UseProxy(tt.use)
			to := &url.URL{Scheme: tt.scheme, Host: ln.Addr().String(), Path: "/mcp"}
			_, err := post(t, c, &Target{URL: to}, to.String(), nil, strings.NewReader("{}"))
			if err == nil {
				t.Fatal("a closed port answers")
			}
			if words := Explain(err); strings.Contains(words, "HTTPS_PROXY") != tt.want || strings.Contains(words, "127.0.0.1:1.") {
				t.Errorf("the words are %q", words)
			}
		})
	}
}
