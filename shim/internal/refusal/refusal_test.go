package refusal

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// hear has a Listener hear an answer in these parts.
func hear(status int, kind string, parts ...[]byte) bool {
	l := Listener{Status: status, Type: kind}
	for _, part := range parts {
		l.Hear(part)
	}
	return l.Doubts(true)
}

// The ways to say that a key is no good, and what only looks like one: in an
// answer to a probe, and in one to a call, whole and cut in two, in three and in
// single bytes.
func TestRefusals(t *testing.T) {
	const event = "event: message\ndata: "
	for _, tt := range []struct {
		name, kind  string
		status      int
		body        string
		doubt, dead bool // in an answer to a call; in one to a probe
	}{
		{"forbidden", "application/json", 403, `{"message":"Forbidden"}`, true, true},
		{"forbidden, without words", "", 403, "", true, true},
		{"bad key", "application/json", 400, `{"error":"Invalid API key"}`, true, true},
		{"bad key, plain", "text/plain", 400, "Invalid API key", true, true},
		{"no credentials", "application/json", 422, `{"detail":"missing credentials"}`, true, true},
		{"JSON-RPC", "application/json", 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"Unauthorized: invalid API key"}}`, true, true},
		{"JSON-RPC, spaced", "application/json", 200, "{\n  \"error\" : {\n  \"message\": \"invalid token\"}}", true, true},
		{"JSON-RPC in an event", "text/event-stream", 200, event + `{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"Unauthorized"}}` + "\n\n", true, true},
		{"JSON-RPC with 400", "application/json", 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"Unauthorized: invalid API key"}}`, true, true},

		{"another error", "application/json", 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"unknown tool"}}`, false, false},
		{"bad request", "application/json", 400, `{"error":"no such method"}`, false, false},
		{"forbidden elsewhere", "text/plain", 403, "only from localhost", false, false},
		{"forbidden, in so many words", "application/json", 403, `{"error":"Forbidden: only accessible at localhost"}`, false, false},
		{"another host", "application/json", 403, `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Invalid Host: mcp.example"}}`, false, false},
		{"another address", "text/plain", 403, "Forbidden: your IP is not on the allowlist", false, false},
		{"key not allowed at an address", "text/plain", 403, "This API key is not allowed from your IP", true, true},
		{"firewall", "text/html", 403, "<html>Forbidden</html>", false, false},
		{"page without a type", "", 403, "<!DOCTYPE html><title>Forbidden</title>", false, false},
		{"busy", "application/json", 429, `{"error":"too many requests for this API key"}`, false, false},
		{"broken", "application/json", 500, `{"error":"cannot check API key"}`, false, false},
		{"result that speaks of keys", "application/json", 200, `{"jsonrpc":"2.0","id":1,"result":{"instructions":"use your API key"}}`, false, false},
		{"result that quotes an error", "application/json", 200, `{"jsonrpc":"2.0","id":1,"result":{"content":[{"text":"{\"error\":{\"message\":\"invalid API key\"}}"}]}}`, false, false},
		{"null error", "application/json", 200, `{"jsonrpc":"2.0","id":1,"error":null,"result":{"text":"forbidden"}}`, false, false},
		{"nothing", "", 202, "", false, false},
		{"beginning of words", "application/json", 403, `{"message":"Forbidden: this is for` + strings.Repeat(" ", 100) + `localhost only"}`, false, false},
		{"error after results", "application/json", 200, `[{"id":1,"result":{"text":"\"error\""}},{"id":2,"error":{"message":"invalid API key"}}]`, true, false},
		{"error in a later event", "text/event-stream", 200, event + `{"error":{"message":"no such tool"}}` + "\r\n\r\n" + event + `{"error":{"message":"invalid API key"}}` + "\r\n\r\n", true, false},
		{"words in another event", "text/event-stream", 200, event + `{"error":{"message":"no such tool"}}` + "\n\n" + event + `{"result":{"text":"API key"}}` + "\n\n", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := []byte(tt.body)
			if got := Judge(tt.status, tt.kind, body) == Refused; got != tt.dead {
				t.Errorf("a probe is judged %v, want %v", got, tt.dead)
			}
			if got := hear(tt.status, tt.kind, body); got != tt.doubt {
				t.Errorf("in doubt is %v, want %v", got, tt.doubt)
			}
			for i := range body {
				if got := hear(tt.status, tt.kind, body[:i], body[i:]); got != tt.doubt {
					t.Errorf("cut after %q, in doubt is %v, want %v", body[:i], got, tt.doubt)
				}
				if j := min(i+4, len(body)); hear(tt.status, tt.kind, body[:i], body[i:j], body[j:]) != tt.doubt {
					t.Errorf("cut after %q and %q, in doubt is %v, want %v", body[:i], body[i:j], !tt.doubt, tt.doubt)
				}
			}
			if got := hear(tt.status, tt.kind, slices.Collect(slices.Chunk(body, 1))...); got != tt.doubt {
				t.Errorf("in single bytes, in doubt is %v, want %v", got, tt.doubt)
			}
		})
	}
}

// TestTorn: what was not heard to its end is judged by its words alone.
func TestTorn(t *testing.T) {
	for said, want := range map[string]bool{"": false, " ": false, `{"message":"Forbidden"`: true, `{"mess`: false} {
		l := Listener{Status: 403, Type: "application/json"}
		l.Hear([]byte(said))
		if got := l.Doubts(false); got != want {
			t.Errorf("%q: in doubt is %v, want %v", said, got, want)
		}
	}
}

// TestLong: an error is short, and nothing of a result is kept.
func TestLong(t *testing.T) {
	const said = `{"error":{"message":"invalid API key"}}`
	for _, tt := range []struct {
		kind string
		want bool
	}{{"application/json", false}, {"text/event-stream", true}} {
		body := []byte("data: " + said + strings.Repeat(" ", Most) + "\n\n")
		for _, size := range []int{1, 1000, len(body)} {
			if got := hear(200, tt.kind, slices.Collect(slices.Chunk(body, size))...); got != tt.want {
				t.Errorf("%s in parts of %d: in doubt is %v, want %v", tt.kind, size, got, tt.want)
			}
		}
	}
	part := bytes.Repeat([]byte(`{"text":"hello","errors":[]},`), 20)
	l := Listener{Status: 200, Type: "application/json"}
	if n := testing.AllocsPerRun(100, func() { l.Hear(part) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// FuzzListener: an upstream may send anything, cut anywhere; it is judged
// the same, and it is in doubt only if it has words about the key.
func FuzzListener(f *testing.F) {
	f.Add(200, "application/json", []byte(`{"error":{"message":"invalid API key"}}`), uint16(3))
	f.Add(403, "", []byte(nil), uint16(1))
	f.Add(400, "", []byte("no API key"), uint16(5))
	f.Add(200, "text/event-stream", []byte("\"error\":\"error\" : {forbidden\r\n\r\n\"error\":{}"), uint16(7))
	f.Fuzz(func(t *testing.T, status int, kind string, body []byte, size uint16) {
		whole := hear(status, kind, body)
		if whole && !MentionsKey(string(body)) && (status != 403 || len(bytes.TrimSpace(body)) > 0) {
			t.Errorf("%d, %q, %q is in doubt", status, kind, body)
		}
		if cut := hear(status, kind, slices.Collect(slices.Chunk(body, 1+int(size)))...); cut != whole {
			t.Errorf("%d, %q, %q in parts of %d: in doubt is %v, whole %v", status, kind, body, 1+int(size), cut, whole)
		}
	})
}
