package proxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

func TestP06AnswersUnchanged(t *testing.T) {
	o := newOrigin(t, nil)
	b := newBench(t, o.URL+"/mcp")
	body := `{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"Unsupported","data":{"supported":["2025-11-25"]}}}`
	for _, status := range []int{200, 202, 400, 402, 403, 404, 405, 406, 409, 415, 422, 429, 500, 502, 503, 504} {
		for _, kind := range []string{"application/json", "application/problem+json; charset=utf-8", "text/plain; charset=utf-8"} {
			o.set(answerWith(status, kind, body, "Retry-After", "17", "RateLimit-Limit", "5", "X-RateLimit-Reset", "9",
				"Allow", "POST", "X-Request-Id", "r", "Mcp-Session-Id", "Sid", "Mcp-Protocol-Version", "2025-11-25"))
			res, got := b.post(t, listBody)
			if res.StatusCode != status || got != body || res.Header.Get("Content-Type") != kind {
				t.Errorf("got %d %q %q, want %d %q %q", res.StatusCode, res.Header.Get("Content-Type"), got, status, kind, body)
			}
			for name, want := range map[string]string{"Retry-After": "17", "Ratelimit-Limit": "5", "X-Ratelimit-Reset": "9",
				"Allow": "POST", "X-Request-Id": "r", "Mcp-Session-Id": "Sid", "Mcp-Protocol-Version": "2025-11-25"} {
				if res.Header.Get(name) != want {
					t.Errorf("status %d: got %s %q, want %q", status, name, res.Header.Get(name), want)
				}
			}
		}
	}
}

func TestP09Forbidden(t *testing.T) {
	o := newOrigin(t, answerWith(403, "application/json", `{"error":"no"}`, "WWW-Authenticate", `Bearer error="insufficient_scope"`))
	b := newBench(t, o.URL+"/mcp")
	res, body := b.post(t, listBody)
	if res.StatusCode != 403 || body != `{"error":"no"}` || res.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("got %d %q, challenge %q; want 403, the upstream's body, no challenge", res.StatusCode, body, res.Header.Get("WWW-Authenticate"))
	}
	if o := b.last(t, 1); o.Success || o.Confirmed401 || o.Status != 403 || o.Method != "tools/list" {
		t.Errorf("got outcome %+v", o)
	}
}

func TestP10Redirects(t *testing.T) {
	elsewhere := newOrigin(t, nil)
	t.Run("P10 other origin", func(t *testing.T) {
		for _, status := range []int{301, 302, 303, 307, 308} {
			o := newOrigin(t, answerWith(status, "", "", "Location", elsewhere.URL+"/mcp"))
			b := newBench(t, o.URL+"/mcp")
			res, body := b.post(t, callBody)
			host := strings.TrimPrefix(elsewhere.URL, "http://")
			if res.StatusCode != 502 || !strings.Contains(body, host) || !strings.HasSuffix(body, `"id":7}`) || res.Header.Get("Location") != "" {
				t.Errorf("%d: got %d %s, want 502 to the request that names %s", status, res.StatusCode, body, host)
			}
		}
		if _, _, n := elsewhere.got(); n != 0 {
			t.Errorf("the other origin got %d requests, want none", n)
		}
	})
	t.Run("P10 same origin", func(t *testing.T) {
		o := newOrigin(t, nil)
		o.set(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/mcp" {
				answerWith(307, "", "", "Location", "/mcp/")(w, r)
				return
			}
			answerWith(200, "application/json", "{}")(w, r)
		})
		b := newBench(t, o.URL+"/mcp")
		res, _ := b.post(t, callBody)
		got, body, _ := o.got()
		if res.StatusCode != 200 || got.URL.Path != "/mcp/" || string(body) != callBody || got.Method != "POST" {
			t.Errorf("got %d, upstream got %s %s %q; want the body replayed at /mcp/", res.StatusCode, got.Method, got.URL.Path, body)
		}
		if got.Header.Get("Authorization") != "Bearer "+testKey {
			t.Error("the replayed request has no key")
		}
	})
}

func TestP14Bytes(t *testing.T) {
	line := "event: message\ndata: " + strings.Repeat("0123456789abcdef", 10<<20/16) + "\n\n"
	doc := `{"x":"` + strings.Repeat("\u00fc", 1<<19) + `"}`
	o := newOrigin(t, nil)
	b := newBench(t, o.URL+"/mcp")
	o.set(answerWith(200, "text/event-stream", line))
	if _, got := b.post(t, callBody); got != line {
		t.Errorf("event stream: got %d bytes, want %d identical ones", len(got), len(line))
	}
	o.set(answerWith(200, "application/json", doc, "Content-Length", strconv.Itoa(len(doc))))
	if res, got := b.post(t, doc); got != doc || res.ContentLength != int64(len(doc)) {
		t.Errorf("JSON: got %d bytes, want %d identical ones", len(got), len(doc))
	}
	if _, body, _ := o.got(); string(body) != doc {
		t.Errorf("the upstream got %d bytes, want %d identical ones", len(body), len(doc))
	}
}

func TestP15Compression(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, "data: hello\n\n")
	z.Close()
	for _, kind := range []string{"application/json", "text/event-stream"} {
		for _, accept := range []string{"", "gzip"} {
			o := newOrigin(t, answerWith(200, kind, packed.String(), "Content-Encoding", "gzip"))
			b := newBench(t, o.URL+"/mcp")
			var header []string
			if accept != "" {
				header = []string{"Accept-Encoding", accept}
			}
			res, body := b.post(t, callBody, header...)
			if enc := res.Header.Get("Content-Encoding"); enc != "" || body != "data: hello\n\n" {
				t.Errorf("%s, client accepts %q: got encoding %q, body %q", kind, accept, enc, body)
			}
		}
	}
	o := newOrigin(t, answerWith(200, "application/json", strings.Repeat("x", 1<<16)))
	b := newBench(t, o.URL+"/mcp")
	if res, _ := b.post(t, callBody, "Accept-Encoding", "gzip, br"); res.Header.Get("Content-Encoding") != "" {
		t.Errorf("got Content-Encoding %q for a plain answer, want none", res.Header.Get("Content-Encoding"))
	}
}

func TestP18Subpaths(t *testing.T) {
	for sub, want := range map[string]bool{
		"": true, "/": true, "/a": true, "/a/b/": true, "/a;v=1/b": true, "/a%20b": true, "/...": true,
		"/..": false, "/../x": false, "/a/../../x": false, "/./a": false, "//a": false, "/%2e%2e/x": false, "/a%2Fb": false,
		"/..;/x": false, "/..;a=1/x": false, "/%252e%252e/x": false, "/a\\b": false, "/a%5cb": false, "/a%00": false,
		"/%zz": false, "a": false, "/..%3b/x": false, "/a?b": false,
	} {
		if got := cleanSubpath(sub); got != want {
			t.Errorf("cleanSubpath(%q): got %v, want %v", sub, got, want)
		}
	}
	o := newOrigin(t, nil)
	for _, tt := range []struct{ base, sub, want string }{
		{"/mcp", "", "/mcp"}, {"/mcp", "/", "/mcp"}, {"/mcp/", "", "/mcp/"}, {"/mcp", "/a/b", "/mcp/a/b"},
		{"/mcp/", "/a", "/mcp/a"}, {"", "/a", "/a"}, {"/m%2Fc", "/a%20b", "/m%2Fc/a%20b"},
	} {
		b := newBench(t, o.URL+tt.base)
		b.do(t, b.request(t, "POST", tt.sub, listBody))
		got, _, _ := o.got()
		path := got.URL.EscapedPath()
		if path != tt.want && !(tt.want == "" && path == "/") {
			t.Errorf("base %q, subpath %q: the upstream got %q, want %q", tt.base, tt.sub, path, tt.want)
		}
	}
	_, _, before := o.got()
	b := newBench(t, o.URL+"/mcp")
	for _, path := range []string{"/../admin", "/..%2fadmin", "/..;/admin", "/%2e%2e/admin"} {
		res := b.raw(t, "POST /s1/mcp"+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		if res.StatusCode != 404 {
			t.Errorf("%s: got %d, want 404", path, res.StatusCode)
		}
	}
	if _, _, after := o.got(); after != before {
		t.Errorf("the upstream got %d requests with unclean paths", after-before)
	}
}

func TestQuery(t *testing.T) {
	o := newOrigin(t, nil)
	b := newBench(t, o.URL+"/mcp?apiKey=ours&v=2")
	for sent, want := range map[string]string{
		"": "apiKey=ours&v=2", "?a=1&b=%20": "apiKey=ours&v=2&a=1&b=%20", "?access_token=x": "apiKey=ours&v=2",
		"?a=1&access%5Ftoken=x": "apiKey=ours&v=2&a=1", "?apiKey=stolen&v=3&c=4": "apiKey=ours&v=2&c=4",
	} {
		b.do(t, b.request(t, "POST", sent, listBody))
		if got, _, _ := o.got(); got.URL.RawQuery != want {
			t.Errorf("%q: the upstream got %q, want %q", sent, got.URL.RawQuery, want)
		}
	}
}

func TestP19BadUpstreams(t *testing.T) {
	t.Run("P19 down", func(t *testing.T) {
		// Nothing takes port 1, unlike a port that a closed server had.
		b := newBench(t, "http://127.0.0.1:1/mcp")
		res, body := b.post(t, callBody)
		if res.StatusCode != 502 || !strings.HasPrefix(body, `{"jsonrpc":"2.0","error":{"code":-32000,"message":"Linear: `) || !strings.HasSuffix(body, `"},"id":null}`) {
			t.Errorf("got %d %s, want 502 with a JSON-RPC error", res.StatusCode, body)
		}
		if out := b.last(t, 1); out.Status != 502 || out.Success || out.Tool != "echo" {
			t.Errorf("got outcome %+v", out)
		}
	})
	t.Run("P19 switches protocols", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			}
		}()
		b := newBench(t, "http://"+l.Addr().String()+"/mcp")
		if res, body := b.post(t, callBody); res.StatusCode != 502 || !strings.HasSuffix(body, `"id":7}`) {
			t.Errorf("got %d %s, want 502 to the request", res.StatusCode, body)
		}
	})
	t.Run("closes mid-answer", func(t *testing.T) {
		text := "data: half" + strings.Repeat(".", 1000)
		for _, kind := range []string{"text/event-stream", "application/json"} {
			arrived := make(chan struct{})
			o := newOrigin(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", kind)
				io.WriteString(w, text)
				http.NewResponseController(w).Flush()
				<-arrived
				panic(http.ErrAbortHandler)
			})
			b := newBench(t, o.URL+"/mcp")
			res, err := http.DefaultClient.Do(b.request(t, "POST", "", callBody))
			if err != nil {
				t.Fatal(err)
			}
			// The guard keeps the end: it may be the first half of a key.
			if err := readTo(res.Body, text[:len(text)-b.call.Upstream.Guard().Hold()]); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			close(arrived)
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if len(body) > 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: after what came: got %q, %v; want an abort", kind, body, err)
			}
			if out := b.last(t, 1); out.Status != 200 || !out.Success {
				t.Errorf("got outcome %+v", out)
			}
			if strings.Contains(b.log.String(), "level=WARN") || strings.Contains(b.log.String(), "level=ERROR") {
				t.Errorf("an upstream's abort is logged: %s", b.log)
			}
		}
	})
}

func TestRefusals(t *testing.T) {
	o := newOrigin(t, nil)
	b := newBench(t, o.URL+"/mcp")
	b.proxy.MaxBody = 1000
	tests := []struct {
		name, request string
		status        int
	}{
		{"PUT", "PUT /s1/mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405},
		{"CONNECT-like", "TRACE /s1/mcp HTTP/1.1\r\nHost: x\r\n\r\n", 405},
		{"lower case", "post /s1/mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405},
		{"websocket", "GET /s1/mcp HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 426},
		{"h2c offer", "POST /s1/mcp HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\nContent-Length: 0\r\n\r\n", 200},
		{"too long", "POST /s1/mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", 413},
		{"too long, chunked", "POST /s1/mcp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + strings.Repeat("x", 1001) + "\r\n0\r\n\r\n", 413},
		{"as long as may be", "POST /s1/mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("x", 1000), 200},
		{"expect", "POST /s1/mcp HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", 100},
		{"length and chunked", "POST /s1/mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200},
		{"two lengths", "POST /s1/mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400},
	}
	for _, tt := range tests {
		res := b.raw(t, tt.request)
		if res.StatusCode != tt.status {
			t.Errorf("%s: got %d, want %d", tt.name, res.StatusCode, tt.status)
		}
		if tt.status == 405 && res.Header.Get("Allow") == "" {
			t.Errorf("%s: got no Allow", tt.name)
		}
	}
	for _, method := range []string{"GET", "HEAD", "DELETE"} {
		if res, _ := b.do(t, b.request(t, method, "", "")); res.StatusCode != 200 {
			t.Errorf("%s: got %d", method, res.StatusCode)
		}
	}
	if got, _, _ := o.got(); got.Header.Get("Upgrade")+got.Header.Get("Http2-Settings") != "" {
		t.Error("the upstream got an offer to upgrade")
	}
}

func TestM05OldTransport(t *testing.T) {
	o := newOrigin(t, nil)
	b := newBench(t, o.URL+"/mcp")
	batch := `[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]`
	o.set(answerWith(200, "application/json", `[{"jsonrpc":"2.0","id":1,"result":{}}]`))
	if _, body := b.post(t, batch); body != `[{"jsonrpc":"2.0","id":1,"result":{}}]` {
		t.Errorf("batch: got %s", body)
	}
	if _, body, _ := o.got(); string(body) != batch {
		t.Errorf("batch: the upstream got %s", body)
	}
	o.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202) })
	if res, body := b.post(t, noteBody); res.StatusCode != 202 || body != "" || res.Header["Content-Type"] != nil {
		t.Errorf("notification: got %d %q %q, want 202, empty, without a type", res.StatusCode, body, res.Header["Content-Type"])
	}
	for _, method := range []string{"GET", "DELETE"} {
		o.set(answerWith(405, "text/plain", "no", "Allow", "POST"))
		if res, body := b.do(t, b.request(t, method, "", "")); res.StatusCode != 405 || res.Header.Get("Allow") != "POST" || body != "no" {
			t.Errorf("%s: got %d %q", method, res.StatusCode, body)
		}
		if got, _, _ := o.got(); got.Method != method || got.ContentLength != 0 {
			t.Errorf("the upstream got %s with %d bytes", got.Method, got.ContentLength)
		}
	}
}

// If an upstream dies in its answer and nothing of that was sent, the client
// gets an answer to its request instead.
func TestP19TornAnswers(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: theirs\r\nX-Request-Id: theirs\r\n"
	const half = `{"jsonrpc":"2.0","id":7,"result":{"text":"`
	length := func(n int) string { return "Content-Length: " + strconv.Itoa(n) + "\r\n\r\n" }
	for _, tt := range []struct {
		name, method, body, answer string
		id                         string // in the answer; "" if the connection breaks
	}{
		{"short", "POST", callBody, head + length(100) + half, "7"},
		{"nothing of it", "POST", callBody, head + length(100), "7"},
		{"most of a buffer", "POST", callBody, head + length(30<<10) + half + strings.Repeat("x", 20<<10), "7"},
		{"beginning of a long one", "POST", callBody, head + length(1<<20) + half, "7"},
		{"more than a buffer", "POST", callBody, head + length(1<<20) + half + strings.Repeat("x", 100<<10), ""},
		{"no chunk", "POST", callBody, head + "Transfer-Encoding: chunked\r\n\r\n", "7"},
		{"compressed", "POST", callBody, head + "Content-Encoding: gzip\r\n" + length(100) + "\x1f\x8b\x08\x00\x00", "7"},
		{"an error", "POST", callBody, strings.Replace(head, "200 OK", "500 Oh", 1) + length(100) + half, "7"},
		{"id that is a string", "POST", listBody, head + length(100) + half, `"l-1"`},
		{"notification", "POST", noteBody, head + length(100) + half, "null"},
		{"batch", "POST", "[" + callBody + "," + listBody + "]", head + length(100) + half, "null"},
		{"stream that is none", "GET", "", head + length(100) + half, "null"},
		{"before the answer", "POST", callBody, "HTTP/1.1 200 OK\r\nContent-", "7"},
		{"nothing", "POST", callBody, "", "7"},
		{"another protocol", "POST", callBody, "SSH-2.0-OpenSSH_9.6\r\n", "7"},
		{"no status", "POST", callBody, "HTTP/1.1 fine\r\n\r\n", "7"},
		{"length that is a word", "POST", listBody, head + "Content-Length: two\r\n\r\n{}", `"l-1"`},
		{"two lengths", "POST", callBody, head + "Content-Length: 1\r\n" + length(2) + "{}", "7"},
		{"header without a colon", "POST", callBody, head + "Connection\r\n\r\n{}", "7"},
		{"chunk without a length", "POST", callBody, head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}", "7"},
		{"unknown transfer coding", "POST", callBody, head + "Transfer-Encoding: pony\r\n\r\n{}", "7"},
		{"no brotli", "POST", callBody, head + "Content-Encoding: br\r\n" + length(20) + strings.Repeat("{}", 10), "7"},
		{"no gzip in chunks", "POST", callBody, head + "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "7"},
		{"unknown coding", "POST", callBody, head + "Content-Encoding: pony\r\n" + length(2) + "{}", "7"},
		{"garbage for a notification", "POST", noteBody, "garbage\r\n", "null"},
		{"garbage for a stream", "GET", "", "garbage\r\n", "null"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			go func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
						io.Copy(io.Discard, r.Body)
						io.WriteString(c, tt.answer)
					}
					c.Close()
				}
			}()
			b := newBench(t, "http://"+ln.Addr().String()+"/mcp")
			res, err := http.DefaultClient.Do(b.request(t, tt.method, "", tt.body))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if tt.id == "" {
				if err == nil {
					t.Errorf("got %d and a whole body %q, want an abort", res.StatusCode, body)
				}
				return
			}
			if err != nil || res.StatusCode != http.StatusBadGateway || !strings.HasSuffix(string(body), `"id":`+tt.id+`}`) || !json.Valid(body) {
				t.Errorf("got %d %q, %v; want 502 with id %s", res.StatusCode, body, err, tt.id)
			}
			if strings.Contains(string(body), upstream.Explain(errors.New("none that is known"))) {
				t.Errorf("the server was reached, and the words are %q", body)
			}
			if res.Header.Get("Mcp-Session-Id") != "" || res.Header.Get("X-Request-Id") != "" {
				t.Errorf("the answer has headers of the one that broke off: %v", res.Header)
			}
			if out := b.last(t, 1); out.Status != http.StatusBadGateway || out.Success {
				t.Errorf("got outcome %+v", out)
			}
		})
	}
}
