package upstream

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

const clientToken = "k2o_at_client-token-0123456789"

// target returns what a shim would make for u.
func target(t testing.TB, u *shimtest.Upstream, h endpoint.Header) *Target {
	t.Helper()
	parsed, err := url.Parse(u.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &Target{URL: parsed, Header: h, Key: endpoint.NewSecret(u.Key())}
}

func newClient(t testing.TB) *Client {
	c := New(nil)
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// post sends us a request as a client of the shim would.
func post(t testing.TB, c *Client, tg *Target, rawURL string, header http.Header, body io.Reader) (*http.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(WithTarget(ctx, tg), http.MethodPost, rawURL, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "shim.example"
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for k, v := range header {
		req.Header[k] = v
	}
	return c.RoundTrip(req)
}

func TestP01P02P04P20KeyOnRequest(t *testing.T) {
	headers := []struct {
		name string
		h    endpoint.Header
		key  string
	}{
		{"bearer", endpoint.DefaultHeader, "key-1"},
		{"bare Authorization", endpoint.Header{Name: "Authorization"}, "key-1"},
		{"basic", endpoint.Header{Name: "Authorization", Prefix: "Basic "}, "dXNlcjpwYXNz"},
		{"custom", endpoint.Header{Name: "X-Api-Key"}, "key-1"},
		{"custom with prefix", endpoint.Header{Name: "X-Auth", Prefix: "Token token="}, "key-1"},
	}
	clients := []struct {
		name   string
		header func(keyHeader string) http.Header
	}{
		{"canonical", func(k string) http.Header {
			return http.Header{"Authorization": {"Bearer " + clientToken}, k: {"from-the-client"}}
		}},
		{"other case", func(k string) http.Header {
			return http.Header{"authorization": {"Bearer " + clientToken}, strings.ToUpper(k): {"from-the-client"}, strings.ToLower(k): {"from-the-client"}}
		}},
		{"several values", func(k string) http.Header {
			return http.Header{"Authorization": {"Bearer " + clientToken, "Basic x"}, k: {"from-the-client", "from-the-client"}}
		}},
		{"underscores", func(k string) http.Header {
			return http.Header{"Authorization": {"Bearer " + clientToken}, strings.ReplaceAll(k, "-", "_"): {"from-the-client"}}
		}},
	}
	c := newClient(t)
	for _, hc := range headers {
		u := shimtest.NewUpstream(t, shimtest.Options{Header: hc.h.Name, Prefix: hc.h.Prefix, Key: hc.key})
		tg := target(t, u, hc.h)
		for _, cc := range clients {
			t.Run(hc.name+"/"+cc.name, func(t *testing.T) {
				u.Reset()
				sent := cc.header(hc.h.Name)
				before := sent.Clone()
				resp, err := post(t, c, tg, u.URL, sent, strings.NewReader(initializeBody))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				got := u.Last()
				if resp.StatusCode != http.StatusOK {
					t.Errorf("status %d, want 200: the key did not arrive", resp.StatusCode)
				}
				if want := []string{hc.h.Prefix + hc.key}; !slices.Equal(got.Header[hc.h.Name], want) {
					t.Errorf("%s arrived as %q, want %q", hc.h.Name, got.Header[hc.h.Name], want)
				}
				if u.Saw(clientToken) || u.Saw("from-the-client") {
					t.Errorf("the upstream saw a credential of the client's: %v", got.Header)
				}
				if want := strings.TrimPrefix(u.Origin, "http://"); got.Host != want {
					t.Errorf("Host arrived as %q, want %q", got.Host, want)
				}
				if len(sent) != len(before) {
					t.Errorf("RoundTrip changed the caller's header: got %v, want %v", sent, before)
				}
			})
		}
	}
}

// TestP04OwnServerName proves that TLS uses the upstream's name, and that
// HTTP/2 is used if the upstream speaks it.
func TestP04OwnServerName(t *testing.T) {
	u := shimtest.NewUpstream(t, shimtest.Options{TLS: true})
	c := newClient(t)
	c.TrustRoots(u.Pool)
	tg := target(t, u, endpoint.DefaultHeader)
	// The certificate of httptest is valid for this name.
	tg.URL.Host = "example.com:" + tg.URL.Port()
	dial := c.secure.Load().DialContext
	c.secure.Load().DialContext = func(ctx context.Context, network, _ string) (_ net.Conn, err error) {
		return dial(ctx, network, strings.TrimPrefix(u.Origin, "https://"))
	}
	resp, err := post(t, c, tg, tg.URL.String(), http.Header{"Host": {"shim.example"}}, strings.NewReader(initializeBody))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	got := u.Last()
	if got.SNI != "example.com" || got.Host != tg.URL.Host {
		t.Errorf("server name %q and Host %q, want example.com and %s", got.SNI, got.Host, tg.URL.Host)
	}
	if resp.ProtoMajor != 2 || got.Header.Get("Authorization") != "Bearer "+u.Key() {
		t.Errorf("HTTP/%d, header %v, want HTTP/2 and the key", resp.ProtoMajor, got.Header)
	}
}

func TestP10ForeignURLsAreRefused(t *testing.T) {
	u := shimtest.NewUpstream(t, shimtest.Options{})
	other := shimtest.NewUpstream(t, shimtest.Options{})
	c := newClient(t)
	tg := target(t, u, endpoint.DefaultHeader)
	tests := []struct{ name, url string }{
		{"other port", other.URL},
		{"other host", "http://localhost:" + tg.URL.Port() + "/mcp"},
		{"other scheme", strings.Replace(u.URL, "http:", "https:", 1)},
		{"no host", "/mcp"},
		{"user name that looks like the host", strings.Replace(other.URL, "http://", "http://"+tg.URL.Host+"@", 1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if resp, err := post(t, c, tg, tt.url, nil, strings.NewReader("{}")); err == nil {
				resp.Body.Close()
				t.Errorf("%s was sent, want it refused", tt.url)
			}
			if len(other.Requests())+len(u.Requests()) != 0 {
				t.Error("a request was made")
			}
		})
	}
	t.Run("opaque", func(t *testing.T) {
		req, _ := http.NewRequestWithContext(WithTarget(t.Context(), tg), "GET", u.URL, nil)
		req.URL.Opaque = strings.TrimPrefix(other.URL, "http:")
		if _, err := c.RoundTrip(req); err == nil {
			t.Error("an opaque URL was sent, want it refused")
		}
	})
	t.Run("no target", func(t *testing.T) {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", u.URL, nil)
		if _, err := c.RoundTrip(req); !errors.Is(err, errNoTarget) {
			t.Errorf("got %v, want %v", err, errNoTarget)
		}
	})
}

func TestMergeQuery(t *testing.T) {
	tests := []struct{ name, own, client, want string }{
		{"neither", "", "", ""},
		{"own", "apiKey=k", "", "apiKey=k"},
		{"client's", "", "a=1&b=%20x&c", "a=1&b=%20x&c"},
		{"both", "apiKey=k", "a=1", "apiKey=k&a=1"},
		{"own wins", "apiKey=k", "apiKey=other&a=1&apiKey=third", "apiKey=k&a=1"},
		{"own wins in any case and encoding", "apiKey=k", "APIKEY=o&%61piKey=o&a=1", "apiKey=k&a=1"},
		{"access token", "", "access_token=t&a=1&Access_Token=t&%61ccess_token=t", "a=1"},
		{"own access token stays", "access_token=k", "access_token=t", "access_token=k"},
		{"semicolons", "apiKey=k", "a=1;apiKey=o&b=2;access_token=t&c=3;d=4", "apiKey=k&c=3;d=4"},
		{"bad escape", "", "%zz=1&a=%zz", "a=%zz"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := mergeQuery(tt.own, tt.client); got != tt.want {
				t.Errorf("mergeQuery(%q, %q) = %q, want %q", tt.own, tt.client, got, tt.want)
			}
		})
	}
}

// FuzzMergeQuery: no matter what a client appends, the configured parameters
// stay first and are not duplicated, and no access_token from the client
// passes.
func FuzzMergeQuery(f *testing.F) {
	f.Add("a=1&apiKey=x&access_token=t")
	f.Add("%61piKey=x;b=1&&=")
	f.Fuzz(func(t *testing.T, client string) {
		got := mergeQuery("apiKey=k", client)
		if got != "apiKey=k" && !strings.HasPrefix(got, "apiKey=k&") {
			t.Fatalf("mergeQuery(%q) = %q, want the configured query first", client, got)
		}
		for part := range strings.FieldsFuncSeq(got[len("apiKey=k"):], func(r rune) bool { return r == '&' || r == ';' }) {
			name, ok := paramName(part)
			if !ok || strings.EqualFold(name, "apiKey") || strings.EqualFold(name, "access_token") {
				t.Errorf("mergeQuery(%q) = %q lets %q pass", client, got, part)
			}
		}
	})
}

func TestP20QueryKey(t *testing.T) {
	u := shimtest.NewUpstream(t, shimtest.Options{Query: "apiKey", Key: "query-key-123"})
	tg := target(t, u, endpoint.DefaultHeader)
	tg.Key = endpoint.Secret{}
	tg.URL.RawQuery = "apiKey=query-key-123"
	resp, err := post(t, newClient(t), tg, u.URL+"?a=1&apiKey=other&access_token="+clientToken, http.Header{"Authorization": {"Bearer " + clientToken}}, strings.NewReader(initializeBody))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := u.Last(); resp.StatusCode != 200 || got.Query != "apiKey=query-key-123&a=1" || u.Saw(clientToken) {
		t.Errorf("status %d, query %q, header %v; want 200, the configured key, no token", resp.StatusCode, got.Query, got.Header)
	}
}

func TestP10SameOriginRedirect(t *testing.T) {
	big := strings.Repeat("x", maxRecord+1)
	begun := make(chan struct{}, 8) // requests that have a redirect, or are where they belong
	tests := []struct {
		name   string
		body   func() io.Reader
		want   string
		status int // of the redirect
	}{
		{"307", func() io.Reader { return strings.NewReader(initializeBody) }, initializeBody, 307},
		{"308", func() io.Reader { return strings.NewReader(initializeBody) }, initializeBody, 308},
		{"unknown length", func() io.Reader { return struct{ io.Reader }{strings.NewReader(initializeBody)} }, initializeBody, 307},
		{"in pieces", func() io.Reader { return slowly(initializeBody, begun) }, initializeBody, 307},
		{"1 MB", func() io.Reader { return strings.NewReader(big[1:]) }, big[1:], 307},
		{"no body", func() io.Reader { return nil }, "", 307},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := shimtest.NewUpstream(t, shimtest.Options{Path: "/mcp/"})
			u.Break(func(w http.ResponseWriter, r *http.Request) bool {
				if tt.name == "in pieces" {
					http.NewResponseController(w).EnableFullDuplex() // it answers before it has read all
				}
				redirected := !strings.HasSuffix(r.URL.Path, "/") && shimtest.Redirect(tt.status, r.URL.Path+"/")(w, r)
				if redirected {
					http.NewResponseController(w).Flush()
				}
				select {
				case begun <- struct{}{}:
				default: // nothing waits
				}
				return redirected
			})
			for len(begun) > 0 {
				<-begun
			}
			c := newClient(t)
			tg := target(t, u, endpoint.DefaultHeader)
			tg.URL.Path = "/mcp"
			for call := range 2 {
				u.Reset()
				resp, err := post(t, c, tg, u.Origin+"/mcp?a=1", nil, tt.body())
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				got := u.Last()
				if got.Path != "/mcp/" || got.Query != "a=1" || string(got.Body) != tt.want {
					t.Errorf("call %d: arrived at %s?%s with %d bytes, want /mcp/?a=1 with %d", call, got.Path, got.Query, len(got.Body), len(tt.want))
				}
				if want := "Bearer " + u.Key(); got.Header.Get("Authorization") != want {
					t.Error("the key did not arrive")
				}
				// A failed request teaches us no path.
				if n := len(u.Requests()); tt.want == initializeBody && n != 2-call {
					t.Errorf("call %d took %d requests, want %d", call, n, 2-call)
				}
			}
		})
	}
}

// slowly sends one byte at a time, and the second half only after the request
// has begun to be answered.
func slowly(s string, begun <-chan struct{}) io.Reader {
	pr, pw := io.Pipe()
	go func() {
		for i := range len(s) {
			if i == len(s)/2 {
				<-begun
			}
			if _, err := pw.Write([]byte{s[i]}); err != nil {
				return
			}
		}
		pw.Close()
	}()
	return pr
}

// TestP10LongBody proves that a body too long to keep fails only once: from
// then on the path is known.
func TestP10LongBody(t *testing.T) {
	u := shimtest.NewUpstream(t, shimtest.Options{})
	u.Break(func(w http.ResponseWriter, r *http.Request) bool {
		io.Copy(io.Discard, r.Body)
		return shimtest.SlashRedirect()(w, r)
	})
	c := newClient(t)
	tg := target(t, u, endpoint.DefaultHeader)
	body := strings.Repeat("x", 3<<20)
	resp, err := post(t, c, tg, u.URL, nil, strings.NewReader(body))
	if !errors.Is(err, errBodyGone) {
		t.Fatalf("first call: %v, %v; want %v", resp, err, errBodyGone)
	}
	if resp, err = post(t, c, tg, u.URL, nil, strings.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if u.Last().Path != "/mcp/" {
		t.Errorf("second call went to %s, want /mcp/", u.Last().Path)
	}
}

func TestP10OtherRedirects(t *testing.T) {
	thief := shimtest.NewUpstream(t, shimtest.Options{})
	tests := []struct {
		name   string
		status int
		to     func(u *shimtest.Upstream) string
		want   string // expected in the error
	}{
		{"cross-origin 307", 307, func(*shimtest.Upstream) string { return thief.URL + "?key=" + shimtest.DefaultKey }, thief.URL},
		{"cross-origin 308", 308, func(*shimtest.Upstream) string { return thief.URL }, thief.URL},
		{"cross-origin 302", 302, func(*shimtest.Upstream) string { return thief.URL }, thief.URL},
		{"scheme-relative", 307, func(*shimtest.Upstream) string { return strings.TrimPrefix(thief.URL, "http:") }, thief.URL},
		{"other host, same port", 307, func(u *shimtest.Upstream) string { return strings.Replace(u.URL, "127.0.0.1", "localhost", 1) }, "localhost"},
		{"https on the same host", 307, func(u *shimtest.Upstream) string { return strings.Replace(u.URL, "http:", "https:", 1) }, "https://127.0.0.1"},
		{"same-origin 301", 301, func(*shimtest.Upstream) string { return "/mcp/" }, "/mcp/"},
		{"same-origin 302", 302, func(*shimtest.Upstream) string { return "/mcp/" }, "/mcp/"},
		{"same-origin 303", 303, func(*shimtest.Upstream) string { return "/mcp/" }, "/mcp/"},
		{"loop", 307, func(*shimtest.Upstream) string { return "/mcp" }, "/mcp"},
		{"no Location", 307, func(*shimtest.Upstream) string { return "" }, "nowhere"},
		{"not a URL", 307, func(*shimtest.Upstream) string { return "http://[::1" }, "nowhere"},
		{"javascript", 307, func(*shimtest.Upstream) string { return "javascript:alert(1)" }, "javascript:"},
		{"key in the path", 307, func(*shimtest.Upstream) string { return thief.Origin + "/" + shimtest.DefaultKey }, thief.Origin},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := shimtest.NewUpstream(t, shimtest.Options{})
			u.Break(shimtest.Redirect(tt.status, tt.to(u)))
			resp, err := post(t, newClient(t), target(t, u, endpoint.DefaultHeader), u.URL, nil, strings.NewReader(initializeBody))
			if err == nil {
				resp.Body.Close()
				t.Fatalf("got status %d, want a RedirectError", resp.StatusCode)
			}
			e, ok := errors.AsType[*RedirectError](err)
			if !ok || e.Status != tt.status || !strings.Contains(e.Error(), tt.want) {
				t.Errorf("got %v, want a RedirectError with status %d to %s", err, tt.status, tt.want)
			}
			if strings.Contains(err.Error(), shimtest.DefaultKey) || strings.Contains(Explain(err), shimtest.DefaultKey) {
				t.Errorf("the error holds the key: %v", err)
			}
			if n := len(thief.Requests()); n != 0 {
				t.Errorf("the other origin got %d requests, want none", n)
			}
			want := 1
			if tt.name == "loop" {
				want = 1 + maxHops
			}
			if n := len(u.Requests()); n != want {
				t.Errorf("%d requests were made, want %d", n, want)
			}
		})
	}
}

// TestPathMemory proves that a remembered path is forgotten when it is gone.
func TestPathMemory(t *testing.T) {
	u := shimtest.NewUpstream(t, shimtest.Options{})
	c := newClient(t)
	tg := target(t, u, endpoint.DefaultHeader)
	call := func() (int, string) {
		resp, err := post(t, c, tg, u.URL, nil, strings.NewReader(initializeBody))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode, u.Last().Path
	}
	u.Break(shimtest.SlashRedirect())
	call()
	u.Break(func(w http.ResponseWriter, r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, "/") && shimtest.Status(http.StatusNotFound, "not found")(w, r)
	})
	if status, path := call(); status != http.StatusNotFound || path != "/mcp/" {
		t.Errorf("got %d at %s, want 404 at /mcp/", status, path)
	}
	if status, path := call(); status != http.StatusOK || path != "/mcp" {
		t.Errorf("got %d at %s, want 200 at /mcp", status, path)
	}
	for i := range 3 * maxPaths {
		c.paths.learn(pathKey{"http", "h", strings.Repeat("x", i)}, "/")
	}
	if n := len(*c.paths.now.Load()); n > maxPaths {
		t.Errorf("%d paths are remembered, want %d at most", n, maxPaths)
	}
}

// TestNoticeSleep proves that a connection from before a sleep is not used.
func TestNoticeSleep(t *testing.T) {
	var conns atomic.Int64
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	u, _ := url.Parse(srv.URL)
	c := newClient(t)
	for i, want := range []int64{1, 1, 2, 2} {
		if i == 2 {
			c.drift.Add(-int64(time.Hour)) // as if the clock had jumped ahead
		}
		resp, err := post(t, c, &Target{URL: u}, srv.URL, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if got := conns.Load(); got != want {
			t.Errorf("request %d: %d connections were made, want %d", i, got, want)
		}
	}
}

func TestP15UnaskedCompression(t *testing.T) {
	zip := func(s string) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		io.WriteString(w, s)
		w.Close()
		return b.Bytes()
	}
	u := shimtest.NewUpstream(t, shimtest.Options{})
	c := newClient(t)
	tg := target(t, u, endpoint.DefaultHeader)
	get := func(t *testing.T, encoding string, write func(w http.ResponseWriter)) *http.Response {
		u.Break(func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Encoding", encoding)
			w.Header().Set("Content-Type", "application/json")
			write(w)
			return true
		})
		resp, err := post(t, c, tg, u.URL, http.Header{"Accept-Encoding": {"gzip, br"}}, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		if got := u.Last().Header["Accept-Encoding"]; !slices.Equal(got, []string{"identity"}) {
			t.Errorf("Accept-Encoding arrived as %q, want identity", got)
		}
		return resp
	}
	t.Run("gzip", func(t *testing.T) {
		resp := get(t, "gzip", func(w http.ResponseWriter) { w.Write(zip(`{"a":1}`)) })
		b, err := io.ReadAll(resp.Body)
		if string(b) != `{"a":1}` || err != nil || resp.Header.Get("Content-Encoding") != "" || resp.Header.Get("Content-Length") != "" {
			t.Errorf("got %q, %v, header %v; want it decoded", b, err, resp.Header)
		}
	})
	t.Run("gzip stream", func(t *testing.T) {
		release := make(chan struct{})
		resp := get(t, "gzip", func(w http.ResponseWriter) {
			z := gzip.NewWriter(w)
			io.WriteString(z, "data: 1\n\n")
			z.Flush()
			http.NewResponseController(w).Flush()
			<-release
		})
		defer close(release)
		b := make([]byte, 100)
		if n, err := resp.Body.Read(b); string(b[:n]) != "data: 1\n\n" || err != nil {
			t.Errorf("got %q, %v before the stream ended, want the event", b[:n], err)
		}
	})
	t.Run("not gzip at all", func(t *testing.T) {
		resp := get(t, "gzip", func(w http.ResponseWriter) { io.WriteString(w, "plain") })
		if b, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("got %q, want an error", b)
		}
	})
}

// closeCounter is a body that counts how often it was closed.
type closeCounter struct {
	io.Reader
	mu sync.Mutex
	n  int
}

func (c *closeCounter) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return nil
}

func (c *closeCounter) closed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// TestBodyIsClosedOnce checks the contract of http.RoundTripper: the body is
// always closed.
func TestBodyIsClosedOnce(t *testing.T) {
	u := shimtest.NewUpstream(t, shimtest.Options{})
	tests := []struct {
		name  string
		down  bool
		fault shimtest.Fault
		body  io.Reader
	}{
		{"success", false, nil, strings.NewReader(initializeBody)},
		{"answer before the body was read", false, shimtest.Status(400, "no"), strings.NewReader(strings.Repeat("x", 4<<20))},
		{"redirect", false, shimtest.SlashRedirect(), strings.NewReader(initializeBody)},
		{"early redirect of a long body", false, shimtest.SlashRedirect(), strings.NewReader(strings.Repeat("x", 4<<20))},
		{"cross-origin", false, shimtest.Redirect(307, "http://127.0.0.1:1/"), strings.NewReader(initializeBody)},
		{"down", true, nil, strings.NewReader(initializeBody)},
		{"broken body", false, nil, io.MultiReader(strings.NewReader("x"), &failing{})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u.Break(tt.fault)
			at := u.URL
			if tt.down {
				at = "http://127.0.0.1:1/mcp" // nothing takes this port
			}
			body := &closeCounter{Reader: tt.body}
			resp, err := post(t, newClient(t), target(t, u, endpoint.DefaultHeader), at, nil, body)
			if err == nil {
				resp.Body.Close()
			}
			for deadline := time.Now().Add(testenv.Patience); body.closed() == 0; time.Sleep(time.Millisecond) { // the transport may close it a little later
				if time.Now().After(deadline) {
					break
				}
			}
			if n := body.closed(); n != 1 {
				t.Errorf("closed %d times, want once", n)
			}
		})
	}
}

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, errors.New("the client went away") }

// TestBodyIsNotHeldBack proves that recording a body does not delay it.
func TestBodyIsNotHeldBack(t *testing.T) {
	u := shimtest.NewUpstream(t, shimtest.Options{})
	first := make(chan string, 1)
	u.Break(func(w http.ResponseWriter, r *http.Request) bool {
		b := make([]byte, 5)
		io.ReadFull(r.Body, b)
		first <- string(b)
		io.Copy(io.Discard, r.Body)
		return true
	})
	pr, pw := io.Pipe()
	go func() {
		resp, err := post(t, newClient(t), target(t, u, endpoint.DefaultHeader), u.URL, nil, pr)
		if err == nil {
			resp.Body.Close()
		}
	}()
	io.WriteString(pw, "hello")
	select {
	case got := <-first:
		if got != "hello" {
			t.Errorf("got %q, want hello", got)
		}
	case <-time.After(10 * time.Second):
		t.Error("the beginning of the body was held back")
	}
	pw.Close()
}

func BenchmarkSend(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	}))
	defer srv.Close()
	u, _ := url.Parse(srv.URL + "/mcp")
	c := newClient(b)
	tg := (&Target{URL: u, Header: endpoint.DefaultHeader, Key: endpoint.NewSecret("key")}).Ready()
	do := func(b *testing.B, rt func(*http.Request) (*http.Response, error)) {
		b.ReportAllocs()
		ctx := WithTarget(b.Context(), tg)
		for b.Loop() {
			req, _ := http.NewRequestWithContext(ctx, "POST", srv.URL+"/mcp", struct{ io.Reader }{strings.NewReader(initializeBody)})
			req.ContentLength = int64(len(initializeBody))
			req.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
				"Authorization": {"Bearer x"}, "Mcp-Session-Id": {"s"}, "User-Agent": {"bench"}}
			resp, err := rt(req)
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
	b.Run("transport alone", func(b *testing.B) { do(b, c.plain.Load().RoundTrip) })
	b.Run("Send", func(b *testing.B) { do(b, c.Send) })
	b.Run("RoundTrip", func(b *testing.B) { do(b, c.RoundTrip) })
}

// A server behind a proxy may know neither its scheme nor its port. What it
// redirects to is then taken for the address that the owner entered.
func TestP10LostOrigin(t *testing.T) {
	for _, tt := range []struct {
		name, scheme string
		location     string // HOST and PORT stand for the upstream's
		status       int
		to           string // what the error names; "" if the redirect is followed
		unsafe       bool
	}{
		{"scheme lost", "https", "http://HOST:PORT/mcp/", 307, "", false},
		{"scheme and port lost", "https", "http://HOST/mcp/", 307, "", false},
		{"scheme lost, port of http", "https", "http://HOST:80/mcp/", 308, "", false},
		{"port lost", "https", "https://HOST/mcp/", 307, "", false},
		{"port of http lost", "http", "http://HOST/mcp/", 308, "", false},
		{"query that comes along", "https", "http://HOST/mcp/?a=1", 307, "", false},

		{"method lost as well", "https", "http://HOST:PORT/mcp/", 301, "https://HOST:PORT/mcp/", false},
		{"the same path", "https", "http://HOST:PORT/mcp", 307, "http://HOST:PORT/mcp", true},
		{"the same path, port lost", "https", "https://HOST/mcp", 307, "https://HOST/mcp", false},
		{"another port", "https", "http://HOST:8000/mcp/", 307, "http://HOST:8000/mcp/", true},
		{"another port, same scheme", "https", "https://HOST:444/mcp/", 307, "https://HOST:444/mcp/", false},
		{"another host", "https", "http://localhost/mcp/", 307, "http://localhost/mcp/", true},
		{"a host that begins alike", "https", "http://HOST.example/mcp/", 307, "http://HOST.example/mcp/", true},
		{"to https", "http", "https://HOST/mcp/", 307, "https://HOST/mcp/", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := shimtest.NewUpstream(t, shimtest.Options{Path: "/mcp/", TLS: tt.scheme == "https"})
			c := newClient(t)
			tg := target(t, u, endpoint.DefaultHeader)
			tg.URL.Path = "/mcp"
			if u.Pool != nil {
				c.TrustRoots(u.Pool)
			}
			fill := strings.NewReplacer("HOST", tg.URL.Hostname(), "PORT", tg.URL.Port()).Replace
			u.Break(func(w http.ResponseWriter, r *http.Request) bool {
				return r.URL.Path == "/mcp" && shimtest.Redirect(tt.status, fill(tt.location))(w, r)
			})
			resp, err := post(t, c, tg, tg.URL.String(), nil, strings.NewReader(initializeBody))
			if tt.to == "" {
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK || u.Last().Path != "/mcp/" || u.Last().Header.Get("Authorization") == "" {
					t.Errorf("got %d after a request to %s", resp.StatusCode, u.Last().Path)
				}
				return
			}
			e, ok := errors.AsType[*RedirectError](err)
			if !ok {
				t.Fatalf("got %v, want a RedirectError", err)
			}
			if e.To.String() != fill(tt.to) || e.Unsafe != tt.unsafe {
				t.Errorf("the error names %s, unsafe %v; want %s, %v", e.To, e.Unsafe, fill(tt.to), tt.unsafe)
			}
			text := TextRedirect
			if tt.unsafe {
				text = TextRedirectPlain
			}
			if words := Explain(err); words != fmt.Sprintf(text, e.To) {
				t.Errorf("the words are %q", words)
			}
		})
	}
}

// FuzzRestore: a redirect is only ever taken for the origin that the owner
// entered if it names the same host.
func FuzzRestore(f *testing.F) {
	f.Add("https://h:8443/mcp", "http://h/mcp/")
	f.Add("http://h/mcp", "//u@h:80/x?y#z")
	f.Add("https://[::1]/mcp", "http://[::1]:80/")
	f.Fuzz(func(t *testing.T, entered, location string) {
		own, err := url.Parse(entered)
		if err != nil || own.Scheme != "https" && own.Scheme != "http" || own.Host == "" {
			return
		}
		to, err := own.Parse(location)
		if err != nil {
			return
		}
		tg := &Target{URL: own}
		got := restore(to, tg)
		if sameOrigin(got, own) && !strings.EqualFold(to.Hostname(), own.Hostname()) {
			t.Errorf("%s redirects to %s, which became %s", entered, location, got)
		}
		if got != to && (!sameOrigin(got, own) || got.EscapedPath() != to.EscapedPath() || got.RawQuery != to.RawQuery) {
			t.Errorf("%s redirects to %s, which became %s", entered, location, got)
		}
		if strings.EqualFold(to.Scheme, "https") && own.Scheme == "http" && got != to {
			t.Errorf("%s redirects to %s, which lost TLS: %s", entered, location, got)
		}
	})
}
