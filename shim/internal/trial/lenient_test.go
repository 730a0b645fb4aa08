package trial

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// A looseServer checks keys, and answers as some servers do: not quite by the
// book. Its zero value is by the book.
type looseServer struct {
	initialize string // the result; "" means a good one
	tools      string // the result of tools/list
	id         string // of every answer; "%d" is the right one
	before     string // what comes before the answer in the body or stream
	batch      bool
	media      string // "" means application/json
	coding     string
	noted      int    // the status that notifications get; 0 means 202
	body       string // instead of any answer
}

const (
	goodInitialize = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"Loose","version":"1"}}`
	goodTools      = `{"tools":[{"name":"a","inputSchema":{"type":"object"}}]}`
)

func (s looseServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if sent(r.Header) != shimtest.DefaultKey {
		shimtest.Status(401, "wrong key")(w, r)
		return
	}
	var msg struct {
		ID     int
		Method string
	}
	if json.NewDecoder(r.Body).Decode(&msg) != nil {
		shimtest.Status(405, "")(w, r)
		return
	}
	if strings.HasPrefix(msg.Method, "notifications/") {
		w.WriteHeader(or(s.noted, 202))
		return
	}
	result := map[string]string{"initialize": or(s.initialize, goodInitialize), "tools/list": or(s.tools, goodTools)}[msg.Method]
	answer := `"result":` + result
	if result == "" {
		answer = `"error":{"code":-32601,"message":"Method not found"}`
	}
	id := strings.ReplaceAll(or(s.id, "%d"), "%d", fmt.Sprint(msg.ID))
	text := `{"jsonrpc":"2.0","id":` + id + `,` + answer + `}`
	if s.batch {
		text = `[{"jsonrpc":"2.0","method":"notifications/message","params":{}},` + text + `]`
	}
	if media := or(s.media, "application/json"); strings.HasPrefix(media, "text/event-stream") {
		text = "event: message\ndata: " + text + "\n\n"
	}
	text = or(s.body, s.before+text)
	w.Header().Set("Content-Type", or(s.media, "application/json"))
	if s.coding != "" {
		w.Header().Set("Content-Encoding", s.coding)
	}
	w.Write(encode(s.coding, text))
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func encode(coding, text string) []byte {
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "br":
		w = brotli.NewWriter(&b)
	default:
		return []byte(text)
	}
	io.WriteString(w, text)
	w.Close()
	return b.Bytes()
}

func TestLooseServers(t *testing.T) {
	const events = "text/event-stream"
	const ping = `{"jsonrpc":"2.0","id":7,"method":"ping"}`
	version := func(v string) string {
		return `{"protocolVersion":` + v + `,"capabilities":{"tools":{}},"serverInfo":{"name":"Loose","version":"1"}}`
	}
	tests := []struct {
		name   string
		server looseServer
		want   Outcome
	}{
		// What the official client for TypeScript takes, in 1.32.2 and 2.4.0.
		{"by the book", looseServer{}, OK},
		{"events", looseServer{media: events}, OK},
		{"id as a string", looseServer{id: `"%d"`}, OK},
		{"id as a string, in events", looseServer{id: `"%d"`, media: events}, OK},
		{"id as a fraction", looseServer{id: "%d.0"}, OK},
		{"byte order mark", looseServer{before: "\uFEFF"}, OK},
		{"byte order mark before events", looseServer{before: "\uFEFF", media: events}, OK},
		{"blank lines first", looseServer{before: "\r\n\r\n "}, OK},
		{"brotli", looseServer{coding: "br"}, OK},
		{"gzip", looseServer{coding: "gzip"}, OK},
		{"deflate", looseServer{coding: "deflate"}, OK},
		{"brotli of events", looseServer{coding: "br", media: events}, OK},
		{"gzip of events", looseServer{coding: "gzip", media: events}, OK},
		{"coding identity", looseServer{coding: "identity", media: events}, OK},
		{"coding none", looseServer{coding: "none", media: events}, OK},
		{"coding none of JSON", looseServer{coding: "None"}, OK},
		{"charset", looseServer{media: "application/json; charset=utf-8"}, OK},
		{"capital letters", looseServer{media: "Application/JSON"}, OK},
		{"charset of events", looseServer{media: events + ";charset=UTF-8"}, OK},
		{"batch", looseServer{batch: true}, OK},
		{"first revision", looseServer{initialize: version(`"2024-10-07"`)}, OK},
		{"2024-11-05", looseServer{initialize: version(`"2024-11-05"`)}, OK},
		{"no tools", looseServer{initialize: `{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"x","version":"1"}}`}, OK},
		{"notifications are answered with 200", looseServer{noted: 200}, OK},
		{"notifications are answered with 204", looseServer{noted: 204}, OK},
		{"empty event first", looseServer{before: "id: 1\nretry: 100\ndata:\n\n: hello\n\n", media: events}, OK},
		{"a request of the server's first", looseServer{before: "data: " + ping + "\n\n", media: events}, OK},
		{"events that are no JSON first", looseServer{before: "event: ping\ndata: alive\n\n", media: events}, OK},

		// What it does not take, but other clients do; the key is right.
		{"no name", looseServer{initialize: `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}}}`}, OK},
		{"name of another type", looseServer{initialize: `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":5}}`}, OK},
		{"unknown capabilities", looseServer{initialize: `{"protocolVersion":"2025-06-18","capabilities":{"tools":{"x":[]},"y":1},"z":{}}`}, OK},
		{"description of another type", looseServer{tools: `{"tools":[{"name":"a","description":5,"inputSchema":{}},{"name":"b","inputSchema":{}}]}`}, OK},
		{"annotations of another type", looseServer{tools: `{"tools":[{"name":"a","annotations":"x","title":[],"outputSchema":7}]}`}, OK},
		{"tool without a schema", looseServer{tools: `{"tools":[{"name":"a"},null]}`}, OK},
		{"cursor null", looseServer{tools: `{"tools":[],"nextCursor":null}`}, OK},
		{"cursor of another type", looseServer{tools: `{"tools":[],"nextCursor":5}`}, OK},

		// What no client takes.
		{"labeled as text", looseServer{media: "text/plain"}, Odd},
		{"labeled as a page", looseServer{media: "text/html"}, Odd},
		{"another id", looseServer{id: "99"}, Odd},
		{"another id in events", looseServer{id: `"x"`, media: events}, Odd},
		{"revision that does not exist", looseServer{initialize: version(`"1999-01-01"`)}, Odd},
		{"revision of another type", looseServer{initialize: version(`7`)}, Odd},
		{"no result", looseServer{initialize: "null"}, Odd},
		{"tools are no list", looseServer{tools: `{"tools":"none"}`}, Odd},

		// What is no MCP server.
		{"other JSON", looseServer{body: `{"status":"ok"}`}, NotMCP},
		{"a list of other JSON", looseServer{body: `[{"id":1}]`}, NotMCP},
		{"text", looseServer{body: "hello", media: "text/plain"}, NotMCP},
		{"a page", looseServer{body: "<!doctype html>Hello", media: "text/html"}, NotMCP},
		{"unknown coding", looseServer{coding: "zstd"}, NotMCP},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(tt.server)
			t.Cleanup(srv.Close)
			u, err := url.Parse(srv.URL + "/mcp")
			if err != nil {
				t.Fatal(err)
			}
			v := newTester(t).Try(t.Context(), upstream.Target{URL: u, Header: endpoint.DefaultHeader, Key: endpoint.NewSecret(shimtest.DefaultKey)})
			check(t, v, tt.want, 200)
		})
	}
}

// FuzzAnswer: a server may answer anything; a trial takes it in and shows nothing
// that is not clean; what it takes as good is the answer that it asked for.
func FuzzAnswer(f *testing.F) {
	f.Add("application/json", `{"jsonrpc":"2.0","id":1,"result":{}}`)
	f.Add("text/event-stream", "data: {\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{}}\n\n")
	f.Add("application/json", "\uFEFF[{\"jsonrpc\":\"2.0\",\"method\":\"x\"},{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{}}]")
	f.Fuzz(func(t *testing.T, media, body string) {
		var x answer
		x.read(t.Context(), &http.Response{
			StatusCode: 200, Header: http.Header{"Content-Type": {media}}, Body: io.NopCloser(strings.NewReader(body)),
		}, 1)
		if x.good() && (!x.rpc || !json.Valid(x.result)) {
			t.Errorf("%q as %q is taken as good", body, media)
		}
		k := &talk{target: &upstream.Target{URL: &url.URL{Scheme: "https", Host: "h.example"}, Key: endpoint.NewSecret("sk-0123456789")}}
		if v := k.verdict(x, false); v.Outcome == "" || v.Outcome != OK && v.Words == "" {
			t.Errorf("%q as %q has the verdict %+v", body, media, v)
		}
		if x.err != nil && !x.good() && x.odd != "" {
			t.Errorf("%q as %q is both odd and no answer", body, media)
		}
	})
}
