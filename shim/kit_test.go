package shim_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// A program is a running shim, as cmd/key2oauth runs it.
type program struct {
	t      testing.TB
	dir    string
	addr   string
	shim   *shim.Shim
	origin string
	token  string
	log    *testenv.Output
	wire   *wire
	stop   func()
}

// start runs a shim on a fresh data folder with the master key in a file.
func start(t testing.TB) *program { return startIn(t, t.TempDir(), "127.0.0.1:0") }

func startIn(t testing.TB, dir, addr string) *program {
	t.Helper()
	return startConfig(t, shim.Config{Dir: dir}, addr)
}

func startConfig(t testing.TB, cfg shim.Config, addr string) *program {
	t.Helper()
	p := &program{t: t, dir: cfg.Dir, log: new(testenv.Output), wire: &wire{t: t}}
	cfg.Keychain, cfg.Version = cmp.Or(cfg.Keychain, "file"), "test"
	cfg.Log = slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if cfg.Tunnel.New == nil {
		cfg.Tunnel.New, cfg.Outside = p.wire.tunnel, p.wire.client
	}
	var err error
	if p.shim, err = shim.Open(cfg); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	p.addr = ln.Addr().String()
	p.origin = "http://" + p.addr
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- p.shim.ServeLocal(ctx, ln, func() { close(ready) }) }()
	<-ready
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, shim.ErrDeleted) {
			t.Errorf("ServeLocal: %v", err)
		}
		if err := p.shim.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	t.Cleanup(p.stop)
	b, err := os.ReadFile(filepath.Join(cfg.Dir, api.TokenFile))
	if err != nil {
		t.Fatal(err)
	}
	p.token = strings.TrimSpace(string(b))
	return p
}

// restart stops the shim and starts it on the same folder and address.
func (p *program) restart() *program {
	p.t.Helper()
	p.stop()
	http.DefaultClient.CloseIdleConnections()
	return startIn(p.t, p.dir, p.addr)
}

// api calls the admin API and decodes the answer.
func (p *program) api(method, path string, in any) (status int, out map[string]any) {
	p.t.Helper()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			p.t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, p.origin+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return p.send(req)
}

func (p *program) send(req *http.Request) (status int, out map[string]any) {
	p.t.Helper()
	resp, body := p.exchange(http.DefaultTransport, req)
	if body != "" && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal([]byte(body), &out); err != nil {
			p.t.Fatalf("%s %s: %q is not JSON", req.Method, req.URL.Path, body)
		}
	}
	return resp.StatusCode, out
}

// add makes an endpoint and returns its slug and MCP URL.
func (p *program) add(upstream string, more map[string]any) (slug, mcpURL string) {
	p.t.Helper()
	in := map[string]any{"upstream_url": upstream, "display_name": "Weather"}
	for k, v := range more {
		in[k] = v
	}
	status, out := p.api("POST", "/api/slugs", in)
	if status != http.StatusCreated {
		p.t.Fatalf("POST /api/slugs = %d %v", status, out)
	}
	return out["slug"].(string), out["mcp_endpoint"].(string)
}

// connect adds an endpoint for a fresh upstream and connects a client to it.
func (p *program) connect() (*shimtest.Upstream, string, *shimtest.OAuthClient) {
	p.t.Helper()
	up := shimtest.NewUpstream(p.t, shimtest.Options{})
	_, mcpURL := p.add(up.URL, nil)
	c := p.client(mcpURL)
	c.Connect(p.browser(), up.Key())
	return up, mcpURL, c
}

func (p *program) client(resource string) *shimtest.OAuthClient {
	p.t.Helper()
	c := shimtest.NewOAuthClient(p.t, p.origin, "http://127.0.0.1:3118/callback")
	c.Resource = resource
	return c
}

// browser returns a browser without an owner's session.
func (p *program) browser() *shimtest.Browser { return shimtest.NewBrowser(p.t, p.origin) }

// owner returns a browser with an owner's session.
func (p *program) owner() *shimtest.Browser {
	p.t.Helper()
	b := p.browser()
	if page := b.SignIn(p.shim.OwnerLink("/")); page.Status != http.StatusOK {
		p.t.Fatalf("owner's link ended at %s with %d", page.URL, page.Status)
	}
	return b
}

// post calls an MCP endpoint with a raw body.
func (p *program) post(mcpURL, token, body string) (*http.Response, string) {
	p.t.Helper()
	return p.exchange(http.DefaultTransport, callOf(mcpURL, token, body))
}

// callOf returns the request of a client that calls an MCP endpoint.
func callOf(mcpURL, token, body string) *http.Request {
	req := must(http.NewRequest("POST", mcpURL, strings.NewReader(body)))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req
}

// exchange sends a request over rt and reads the complete answer.
func (p *program) exchange(rt http.RoundTripper, req *http.Request) (*http.Response, string) {
	p.t.Helper()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp, string(b)
}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

// bearer is an http.RoundTripper that signs requests in.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// session connects the official client with an access token.
func session(t *testing.T, mcpURL, token string) *mcp.ClientSession {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	c := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	s, err := c.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: mcpURL, HTTPClient: &http.Client{Transport: bearer(token)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// toolCount counts the tools that a client sees.
func toolCount(t *testing.T, s *mcp.ClientSession) int {
	t.Helper()
	res, err := s.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return len(res.Tools)
}

// waitFor waits until ok, which another goroutine makes true.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
