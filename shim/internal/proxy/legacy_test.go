package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/sse"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// legacyOrigin is an upstream with streams that begin with an endpoint event
// for the URL to, where HOST stands for its own host and port. After it come
// the pieces sent to the channel.
func legacyOrigin(t testing.TB, to string) (*origin, chan<- string) {
	more := make(chan string)
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			answerWith(202, "text/plain", "Accepted")(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		flush(w, "event: endpoint\ndata: "+strings.ReplaceAll(to, "HOST", r.Host)+"\n\n")
		for {
			select {
			case s, ok := <-more:
				if !ok {
					return
				}
				flush(w, s)
			case <-r.Context().Done():
				return
			}
		}
	})
	return o, more
}

// A legacyStream is a client's open stream.
type legacyStream struct {
	t       *testing.T
	res     *http.Response
	in      *bufio.Reader
	message string // path and query of the message URL
}

// stream opens a stream and reads its endpoint event.
func (b *bench) stream(t *testing.T, header ...string) *legacyStream {
	t.Helper()
	s := b.get(t, header...)
	if got := s.line(); got != "event: endpoint" {
		t.Fatalf("the stream begins with %q", got)
	}
	s.message = strings.TrimPrefix(s.line(), "data: ")
	s.line()
	return s
}

func (b *bench) get(t *testing.T, header ...string) *legacyStream {
	t.Helper()
	r := b.request(t, "GET", "", "", header...)
	r.Header.Set("Accept", "text/event-stream")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != 200 {
		t.Fatalf("GET: got %d", res.StatusCode)
	}
	return &legacyStream{t: t, res: res, in: bufio.NewReader(res.Body)}
}

func (s *legacyStream) line() string {
	s.t.Helper()
	line, err := s.in.ReadString('\n')
	if err != nil {
		s.t.Fatalf("after %q: %v", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}

// expect reads the next part of the stream.
func (s *legacyStream) expect(want string) {
	s.t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(s.in, got); string(got) != want {
		s.t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func (s *legacyStream) rest() (string, error) {
	b, err := io.ReadAll(s.in)
	return string(b), err
}

// send posts a message, or uses another method, to a message URL.
func (b *bench) send(t *testing.T, method, message, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r := b.request(t, method, "", body, header...)
	to, err := r.URL.Parse(message)
	if err != nil {
		t.Fatal(err)
	}
	r.URL = to
	return b.do(t, r)
}

func TestS01OfficialClient(t *testing.T) {
	for _, opts := range []shimtest.Options{{LegacySSE: true}, {LegacySSE: true, Header: "X-Api-Key", Path: "/v1/sse"}} {
		up := shimtest.NewUpstream(t, opts)
		b := newBench(t, up.URL)
		if opts.Header != "" {
			b.set(func(c *Call) { c.Upstream.Header = endpoint.Header{Name: opts.Header} })
		}
		b.setKey(up.Key())
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var mu sync.Mutex
		progress := 0
		client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
			ProgressNotificationHandler: func(context.Context, *mcp.ProgressNotificationClientRequest) {
				mu.Lock()
				defer mu.Unlock()
				progress++
			}})
		s, err := client.Connect(ctx, &mcp.SSEClientTransport{Endpoint: b.URL + "/s1/mcp", HTTPClient: &http.Client{Transport: &http.Transport{}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if list, err := s.ListTools(ctx, nil); err != nil || len(list.Tools) != shimtest.Tools {
			t.Errorf("got tools %v, %v", list, err)
		}
		text := strings.Repeat("\u00fc", 1<<17)
		res, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"text": text}})
		if err != nil || res.Content[0].(*mcp.TextContent).Text != text {
			t.Errorf("a long echo came back changed, or %v", err)
		}
		params := &mcp.CallToolParams{Name: "stream", Arguments: map[string]any{"events": 3, "millis": 10}}
		params.SetProgressToken("p")
		if res, err := s.CallTool(ctx, params); err != nil || res.IsError {
			t.Errorf("got %v, %v", res, err)
		}
		mu.Lock()
		if progress != 3 {
			t.Errorf("got %d notifications of progress, want 3", progress)
		}
		mu.Unlock()
		if up.Saw(messageParam) {
			t.Error("the upstream saw our message URL")
		}
		s.Close()
		waitFor(t, "the end of the message URL", func() bool { return b.messages() == 0 })
	}
}

// messages is how many message URLs are open.
func (b *bench) messages() int {
	b.proxy.messages.mu.Lock()
	defer b.proxy.messages.mu.Unlock()
	return len(b.proxy.messages.open)
}

func TestS02Endpoints(t *testing.T) {
	tests := []struct{ name, to, want string }{
		{"S02 absolute", "http://HOST/messages?s=secret", "/messages?s=secret"},
		{"S02 absolute path", "/messages/?s=secret", "/messages/?s=secret"},
		{"S02 relative", "messages?s=secret", "/v1/messages?s=secret"},
		{"S02 relative, upwards", "../messages/a%2Fb?s=secret", "/messages/a%2Fb?s=secret"},
		{"S02 query only", "?s=secret", "/v1/sse?s=secret"},
		{"S02 scheme-relative", "//HOST/messages?s=secret", "/messages?s=secret"},
		{"S02 fragment", "/messages?s=secret#f", "/messages?s=secret"},
		{"S02 no query", "/messages/secret", "/messages/secret"},
	}
	for _, tt := range tests {
		for _, query := range []string{"", "apiKey=k-1"} {
			t.Run(tt.name, func(t *testing.T) {
				o, _ := legacyOrigin(t, tt.to)
				b := newBench(t, o.URL+"/v1/sse")
				b.set(func(c *Call) { c.Upstream.URL.RawQuery = query })
				s := b.stream(t)
				if !strings.HasPrefix(s.message, "/s1/mcp?k2o_msg=") || strings.Contains(s.message, "secret") {
					t.Errorf("got the message URL %q", s.message)
				}
				if s.res.ContentLength != -1 {
					t.Errorf("got a length of %d", s.res.ContentLength)
				}
				res, body := b.send(t, "POST", s.message+"&s=other", callBody)
				if res.StatusCode != 202 || body != "Accepted" {
					t.Errorf("got %d %q", res.StatusCode, body)
				}
				want := tt.want
				if path, q, ok := strings.Cut(want, "?"); query != "" {
					want = path + "?" + query
					if ok {
						want += "&" + q
					}
				}
				got, sent, _ := o.got()
				if got.Method != "POST" || got.RequestURI != want || string(sent) != callBody || got.Header.Get("Authorization") != "Bearer "+testKey {
					t.Errorf("got %s %s %q, want %s", got.Method, got.RequestURI, sent, want)
				}
				if log := b.log.String(); strings.Contains(log, "secret") {
					t.Errorf("the session is in the log: %s", log)
				}
			})
		}
	}
}

func TestS03ForeignEndpoint(t *testing.T) {
	thief := newOrigin(t, nil)
	tests := []struct{ name, to string }{
		{"S03 other origin", thief.URL + "/messages"},
		{"S03 scheme-relative", strings.TrimPrefix(thief.URL, "http:") + "/messages"},
		{"S03 other scheme", "https://127.0.0.1/messages"},
		{"S03 other name for the same host", "http://localhost/messages"},
		{"S03 user name that looks like the host", "http://127.0.0.1@" + strings.TrimPrefix(thief.URL, "http://") + "/"},
		{"S03 no URL", "http://[::1"},
		{"S03 script", "javascript:alert(1)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, _ := legacyOrigin(t, tt.to+"?s=secret")
			b := newBench(t, o.URL+"/sse")
			s := b.get(t)
			if got, err := s.rest(); err == nil || got != "" {
				t.Errorf("got %q, %v; want a broken stream", got, err)
			}
			if out := b.last(t, 1); out.Status != 502 || out.Success {
				t.Errorf("got outcome %+v", out)
			}
			if n := b.messages(); n != 0 {
				t.Errorf("%d message URLs are open", n)
			}
			if log := b.log.String(); !strings.Contains(log, "another place") || strings.Contains(log, "secret") {
				t.Errorf("got log %q", log)
			}
		})
	}
	if _, _, n := thief.got(); n != 0 {
		t.Errorf("the other origin got %d requests, want none", n)
	}
}

func TestS05LaterEvents(t *testing.T) {
	later := "event: endpoint\ndata: /other\n\n: c\r\n\r\nid: 1\rdata:" + strings.Repeat("y", 100_000) + "\r\revent: endpoint\ndata: http://elsewhere.example/\n\ndata: half"
	o, more := legacyOrigin(t, "/messages")
	b := newBench(t, o.URL+"/sse")
	s := b.stream(t)
	for i := 0; i < len(later); i += 7_001 {
		more <- later[i:min(i+7_001, len(later))]
	}
	close(more)
	if got, err := s.rest(); got != later || err != nil {
		t.Errorf("got %.200q, %v", got, err)
	}
}

func TestS06StreamableUntouched(t *testing.T) {
	endpointEvent := "event: endpoint\ndata: http://elsewhere.example/m\n\n"
	tests := []struct {
		name, method, stream string
		header               []string
	}{
		{"S06 session", "GET", endpointEvent, []string{"Mcp-Session-Id", "s"}},
		{"S06 resumed", "GET", endpointEvent, []string{"Last-Event-ID", "3"}},
		{"S06 POST", "POST", endpointEvent, nil},
		{"S06 other event first", "GET", "id: 1\ndata:\n\n" + endpointEvent, nil},
		{"S06 half an event", "GET", "event: endpoint\ndata: http://elsewhere.example/m\n", nil},
		{"S06 long event first", "GET", "data: " + strings.Repeat("x", 3*sse.MaxFirst) + "\n\n" + endpointEvent, nil},
		{"S06 nothing", "GET", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for i := range 3 {
					flush(w, tt.stream[i*len(tt.stream)/3:(i+1)*len(tt.stream)/3])
				}
			})
			b := newBench(t, o.URL+"/mcp")
			res, got := b.do(t, b.request(t, tt.method, "", "", tt.header...))
			if res.StatusCode != 200 || got != tt.stream {
				t.Errorf("got %d %.200q, want %.200q", res.StatusCode, got, tt.stream)
			}
		})
	}
}

func TestS07MessageURL(t *testing.T) {
	o, more := legacyOrigin(t, "/messages?s=1")
	b := newBench(t, o.URL+"/sse")
	s := b.stream(t, "X-Test-Grant", "A")
	count := func() int { _, _, n := o.got(); return n }
	before := count()
	for _, tt := range []struct {
		name, method, message, grant string
		status                       int
	}{
		{"other grant", "POST", s.message, "B", 404},
		{"unknown", "POST", s.message + "A", "A", 404},
		{"empty", "POST", "/s1/mcp?k2o_msg=", "A", 404},
		{"GET", "GET", s.message, "A", 405},
		{"DELETE", "DELETE", s.message, "A", 405},
		{"no id for a second parameter", "POST", "/s1/mcp?k2o_msg=x&" + strings.TrimPrefix(s.message, "/s1/mcp?"), "A", 404},
	} {
		if res, body := b.send(t, tt.method, tt.message, callBody, "X-Test-Grant", tt.grant); res.StatusCode != tt.status {
			t.Errorf("%s: got %d %q, want %d", tt.name, res.StatusCode, body, tt.status)
		}
	}
	if n := count(); n != before {
		t.Errorf("the upstream got %d requests of those", n-before)
	}
	if res, _ := b.send(t, "POST", s.message, callBody, "X-Test-Grant", "A"); res.StatusCode != 202 {
		t.Errorf("own grant: got %d, want 202", res.StatusCode)
	}
	b.set(func(c *Call) { c.Slug = "s2" })
	if res, _ := b.send(t, "POST", s.message, callBody, "X-Test-Grant", "A"); res.StatusCode != 404 {
		t.Errorf("other slug: got %d, want 404", res.StatusCode)
	}
	b.set(func(c *Call) {
		moved, u := *c.Upstream, *c.Upstream.URL
		u.Path = "/moved"
		moved.URL = &u
		c.Slug, c.Upstream = "s1", &moved
	})
	if res, _ := b.send(t, "POST", s.message, callBody, "X-Test-Grant", "A"); res.StatusCode != 404 {
		t.Errorf("after the upstream's URL was changed: got %d, want 404", res.StatusCode)
	}
	close(more)
	s.rest()
	waitFor(t, "the end of the message URL", func() bool { return b.messages() == 0 })
}

func TestLegacyStreamIsCut(t *testing.T) {
	o, _ := legacyOrigin(t, "/messages?s=1")
	for name, cut := range map[string]func(s *legacyStream, done chan struct{}){
		"revoked":       func(_ *legacyStream, done chan struct{}) { close(done) },
		"client leaves": func(s *legacyStream, _ chan struct{}) { s.res.Body.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, o.URL+"/sse")
			done := make(chan struct{})
			b.set(func(c *Call) { c.Done = done })
			s := b.stream(t)
			cut(s, done)
			if name == "revoked" {
				if _, err := s.rest(); err == nil {
					t.Error("the stream ended as if it were whole")
				}
			}
			waitFor(t, "the end of the message URL", func() bool { return b.messages() == 0 })
			b.set(func(c *Call) { c.Done = nil })
			if res, _ := b.send(t, "POST", s.message, callBody); res.StatusCode != 404 {
				t.Errorf("got %d, want 404", res.StatusCode)
			}
		})
	}
}

func TestLegacyKeepAlive(t *testing.T) {
	o, more := legacyOrigin(t, "/messages")
	b := newBench(t, o.URL+"/sse")
	b.proxy.KeepAlive = 50 * time.Millisecond
	s := b.stream(t)
	for range 2 {
		if got := s.line() + s.line(); got != ":" {
			t.Errorf("got %q in a silent stream, want a comment", got)
		}
	}
	close(more)
}

// TestP08LegacyRepair rejects a key while a legacy stream is open.
func TestP08LegacyRepair(t *testing.T) {
	o, more := legacyOrigin(t, "/messages?s=1")
	open := o.answer
	b := newBench(t, o.URL+"/sse")
	s := b.stream(t)
	o.set(func(w http.ResponseWriter, r *http.Request) {
		answerWith(401, "application/json", `{"error":"no"}`, "WWW-Authenticate", "Bearer")(w, r)
	})
	// Nothing may be inserted in the middle of an event. It is so long that not
	// all of it is held by the guard.
	half := "event: message\ndata: {\"long\":\"" + strings.Repeat("x", 1000) + "\",\"half\":"
	more <- half
	s.expect(half[:100])
	res, body := b.send(t, "POST", s.message, callBody)
	if res.StatusCode != 202 || body != "Accepted" || res.Header.Get("Www-Authenticate") != "" {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
	if out := b.last(t, 1); out.Status != 401 || !out.Confirmed401 || out.Tool != "echo" {
		t.Errorf("got outcome %+v", out)
	}
	more <- "1}\n\ndata: next\n\n"
	s.expect(half[100:] + "1}\n\nevent: message\ndata: ")
	got := s.line()
	if !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"`+deadWords) ||
		!strings.HasSuffix(got, `"isError":true}}`) {
		t.Errorf("got %q for the call", got)
	}
	s.expect("\ndata: next\n\n")

	// While the key is known to be rejected, and on a silent stream.
	b.set(func(c *Call) { c.Rejected = func() (bool, bool) { return true, false } })
	for _, tt := range []struct{ body, want string }{
		{listBody, `"id":"l-1"`},
		{`[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]`, `"id":2}]`},
	} {
		if res, _ := b.send(t, "POST", s.message, tt.body); res.StatusCode != 202 {
			t.Errorf("got %d", res.StatusCode)
		}
		if got := s.line() + "|" + s.line() + s.line(); !strings.HasPrefix(got, "event: message|data: ") || !strings.Contains(got, tt.want) {
			t.Errorf("got %q, want %s in it", got, tt.want)
		}
	}
	if res, body := b.send(t, "POST", s.message, noteBody); res.StatusCode != 503 || !strings.Contains(body, "rejected") {
		t.Errorf("notification: got %d %q, want 503", res.StatusCode, body)
	}
	if res, body := b.post(t, listBody); res.StatusCode != 200 || !strings.Contains(body, `"id":"l-1"`) {
		t.Errorf("without a stream: got %d %q", res.StatusCode, body)
	}

	o.set(open)
	b.set(func(c *Call) { c.Rejected = nil })
	if res, _ := b.send(t, "POST", s.message, callBody); res.StatusCode != 202 {
		t.Errorf("with a new key: got %d", res.StatusCode)
	}
	more <- "data: alive\n\n"
	if got := s.line(); got != "data: alive" {
		t.Errorf("got %q", got)
	}
}

// TestP08LegacyUnread has a client that posts but never reads its stream.
func TestP08LegacyUnread(t *testing.T) {
	o, more := legacyOrigin(t, "/messages")
	b := newBench(t, o.URL+"/sse")
	s := b.stream(t)
	b.set(func(c *Call) { c.Rejected = func() (bool, bool) { return true, false } })
	more <- "data: half an event" + strings.Repeat(".", 1000) // which keeps every answer waiting
	s.expect("data: half an event.")
	accepted := 0
	for i := range maxAsides + 6 {
		res, body := b.send(t, "POST", s.message, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"ping"}`, i))
		if res.StatusCode == 202 {
			accepted++
		} else if res.StatusCode != 200 || !strings.Contains(body, fmt.Sprintf(`"id":%d}`, i)) {
			t.Fatalf("got %d %q", res.StatusCode, body)
		}
	}
	if accepted != maxAsides {
		t.Errorf("%d answers wait, want %d", accepted, maxAsides)
	}
}
