package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

const testKey = "sk-proxy-test-8d1f"

// A bench is a proxy between a client and an upstream, all of them real and on
// loopback.
type bench struct {
	*httptest.Server
	proxy *Proxy
	log   *bytes.Buffer

	mu       sync.Mutex
	call     Call // how the next calls are authorized
	outcomes []Outcome
}

// newBench puts a proxy in front of base.
func newBench(t testing.TB, base string) *bench {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{log: new(bytes.Buffer)}
	client := upstream.New(&safedial.Guard{})
	b.proxy = &Proxy{Client: client, Log: slog.New(slog.NewTextHandler(b.log, nil))}
	b.call = Call{Slug: "s1", Name: "Linear", Grant: "g1", CredentialID: "c1",
		Upstream: &upstream.Target{URL: u, Header: endpoint.DefaultHeader, Key: endpoint.NewSecret(testKey)}}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		c := b.call
		b.mu.Unlock()
		if g := r.Header.Get("X-Test-Grant"); g != "" {
			c.Grant = g
			r.Header.Del("X-Test-Grant")
		}
		w.Header().Set("Access-Control-Allow-Origin", "*") // as the shim does
		c.Subpath = strings.TrimPrefix(r.URL.EscapedPath(), "/s1/mcp")
		c.Report = func(o Outcome) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.outcomes = append(b.outcomes, o)
		}
		b.proxy.ServeHTTP(w, r, &c)
	}))
	t.Cleanup(func() {
		b.CloseClientConnections()
		b.Close()
		client.CloseIdleConnections()
	})
	return b
}

// set changes how the next calls are authorized.
func (b *bench) set(f func(*Call)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.call)
}

// last waits for n outcomes and returns the newest.
func (b *bench) last(t *testing.T, n int) Outcome {
	t.Helper()
	var all []Outcome
	waitFor(t, fmt.Sprintf("outcome %d", n), func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		all = slices.Clone(b.outcomes)
		return len(all) >= n
	})
	if len(all) > n {
		t.Fatalf("got %d outcomes, want %d", len(all), n)
	}
	return all[n-1]
}

// request makes a request for the proxy; header is name, value, name, value.
func (b *bench) request(t *testing.T, method, path, body string, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.URL+"/s1/mcp"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Authorization", "Bearer client-token-must-stay-here")
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// do sends a request and reads the complete answer.
func (b *bench) do(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := (&http.Transport{DisableCompression: true, DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	return res, string(body)
}

func (b *bench) post(t *testing.T, body string, header ...string) (*http.Response, string) {
	t.Helper()
	return b.do(t, b.request(t, "POST", "", body, header...))
}

// raw sends bytes unchanged and returns the answer.
func (b *bench) raw(t *testing.T, request string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", b.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	io.WriteString(conn, request)
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%v for %q", err, request)
	}
	return res
}

// An origin is an upstream that keeps the last request and answers as told.
type origin struct {
	*httptest.Server
	mu     sync.Mutex
	last   *http.Request
	body   []byte
	count  int
	answer http.HandlerFunc
}

func newOrigin(t testing.TB, answer http.HandlerFunc) *origin {
	o := &origin{answer: answer}
	o.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		o.mu.Lock()
		o.last, o.body = r, body
		o.count++
		f := o.answer
		o.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		if f == nil {
			f = answerWith(200, "application/json", `{"jsonrpc":"2.0","id":1,"result":{}}`)
		}
		f(w, r)
	}))
	o.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	o.Start()
	t.Cleanup(func() {
		o.CloseClientConnections()
		o.Close()
	})
	return o
}

func (o *origin) got() (*http.Request, []byte, int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last, o.body, o.count
}

func (o *origin) set(f http.HandlerFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer = f
}

func answerWith(status int, contentType, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		for i := 0; i < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

const (
	callBody = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{}}}`
	listBody = `{"jsonrpc":"2.0","id":"l-1","method":"tools/list"}`
	noteBody = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
)

// waitFor waits for a condition. It should hold within a second; the limit
// leaves room.
func waitFor(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
