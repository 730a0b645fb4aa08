package e2e

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// apiKey is the key that the upstream of these tests accepts. rotatedKey is the
// key that it accepts instead after the rotation.
const (
	apiKey     = "sk-e2e-7f3k9d2m5q8w"
	rotatedKey = "sk-e2e-1b6n4x8c0v5z"
)

// everything starts the go-sdk's own test server and returns its URL.
func everything(t testing.TB, stateless bool) string {
	t.Helper()
	exe := built(t, buildEverything)
	mode := "-stateless=false"
	if stateless {
		mode = "-stateless=true"
	}
	// The server does not report its port, so it gets one that was free a moment
	// ago.
	for range 5 {
		addr := freeAddr(t)
		out := new(testenv.Output)
		cmd := exec.Command(exe, "-http", addr, mode)
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { cmd.Wait(); close(ended) }()
		if listens(addr, ended) {
			t.Cleanup(func() { cmd.Process.Kill(); <-ended })
			return "http://" + addr
		}
		cmd.Process.Kill()
		<-ended
		t.Logf("everything-server did not listen on %s and printed:\n%s", addr, out)
	}
	t.Fatal("everything-server does not start")
	return ""
}

// startServer runs a server that listens on addr. It ends with stop, and at the
// latest with the test.
func startServer(t testing.TB, cmd *exec.Cmd, addr string) (stop func()) {
	t.Helper()
	out := new(testenv.Output)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	stop = func() { cmd.Process.Kill(); <-ended }
	t.Cleanup(stop)
	if !listens(addr, ended) {
		t.Fatalf("the server does not listen on %s and printed:\n%s", addr, out)
	}
	return stop
}

func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// portOf returns the port of an address.
func portOf(t testing.TB, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// listens waits until something accepts connections on addr.
func listens(addr string, ended <-chan struct{}) bool {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			c.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}

// A gate is a small check of the API key in front of an MCP server.
type gate struct {
	URL      string
	rotated  atomic.Bool
	accepted atomic.Int64
	refused  atomic.Int64
	streams  atomic.Int64 // accepted GET requests
}

func newGate(t testing.TB, backend string) *gate {
	t.Helper()
	u, err := url.Parse(backend)
	if err != nil {
		t.Fatal(err)
	}
	g := new(gate)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := apiKey
		if g.rotated.Load() {
			want = rotatedKey
		}
		if v := r.Header.Values("Authorization"); len(v) != 1 || v[0] != "Bearer "+want {
			g.refused.Add(1)
			w.Header().Set("WWW-Authenticate", `Bearer realm="upstream"`)
			http.Error(w, `{"error":"unknown API key"}`, http.StatusUnauthorized)
			return
		}
		g.accepted.Add(1)
		if r.Method == http.MethodGet {
			g.streams.Add(1)
		}
		relay(proxy, w, r)
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	g.URL = srv.URL
	return g
}

// rotate makes the gate accept only rotatedKey. All requests before that must
// have had the right key.
func (g *gate) rotate(t testing.TB) {
	t.Helper()
	if n := g.refused.Load(); n != 0 {
		t.Errorf("%d requests reached the upstream without the right key", n)
	}
	g.rotated.Store(true)
}

// relay passes one request on. Without full duplex, the server closes the body
// of a request when its response begins. A transport that has not read the body
// to its end takes that for an error and cuts the response.
func relay(proxy *httputil.ReverseProxy, w http.ResponseWriter, r *http.Request) {
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	proxy.ServeHTTP(w, r)
}
