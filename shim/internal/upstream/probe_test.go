package upstream

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

func TestProbe(t *testing.T) {
	for _, status := range []int{200, 400, 403, 404, 405, 429, 500, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			u := shimtest.NewUpstream(t, shimtest.Options{})
			u.Break(shimtest.Status(status, "no"))
			if rejected, err := newClient(t).Probe(t.Context(), *target(t, u, endpoint.DefaultHeader)); rejected || err != nil {
				t.Errorf("rejected %t, %v; want neither", rejected, err)
			}
		})
	}
	t.Run("hangs", func(t *testing.T) {
		u := shimtest.NewUpstream(t, shimtest.Options{})
		u.Break(shimtest.Hang())
		c := newClient(t)
		c.ProbeTime = 100 * time.Millisecond
		if rejected, err := c.Probe(t.Context(), *target(t, u, endpoint.DefaultHeader)); rejected || err == nil {
			t.Errorf("rejected %t, %v; want an error", rejected, err)
		}
	})
}

// A probe without a key is sent once a day at most, and not at all where a
// trial has told.
func TestTells(t *testing.T) {
	for _, tt := range []struct {
		name  string
		open  []string // methods that need no key
		fault shimtest.Fault
		told  *bool
		want  bool
		sent  int // requests for three questions
	}{
		{"asks for the key", nil, nil, nil, true, 1},
		{"asks for it in tools/call", []string{"initialize", "notifications/initialized"}, nil, nil, false, 2}, // and ends the session
		{"busy", nil, shimtest.Status(429, "slow down"), nil, false, 3},
		{"broken", nil, shimtest.Status(500, "oh"), nil, false, 3},
		{"told that it asks", nil, nil, new(true), true, 0},
		{"told that it does not", nil, nil, new(false), false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := shimtest.NewUpstream(t, shimtest.Options{})
			u.OpenTo(tt.open...)
			u.Break(tt.fault)
			c := newClient(t)
			tg := target(t, u, endpoint.DefaultHeader)
			if tt.told != nil {
				c.SetTells(tg, *tt.told)
			}
			for range 3 {
				if got := c.Tells(t.Context(), *tg); got != tt.want {
					t.Errorf("Tells = %v, want %v", got, tt.want)
				}
			}
			if got := len(u.Requests()); got != tt.sent {
				t.Errorf("the upstream got %d requests, want %d", got, tt.sent)
			}
			if u.Saw(u.Key()) {
				t.Error("the upstream got the key")
			}
		})
	}
}

// The ways to say that a key is no good, and what only looks like one.
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
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Doubts(tt.status, tt.kind, []byte(tt.body)); got != tt.doubt {
				t.Errorf("Doubts = %v, want %v", got, tt.doubt)
			}
			u := shimtest.NewUpstream(t, shimtest.Options{})
			u.Break(func(w http.ResponseWriter, r *http.Request) bool {
				w.Header()["Content-Type"] = []string{tt.kind}
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
				return true
			})
			if got, err := newClient(t).Probe(t.Context(), *target(t, u, endpoint.DefaultHeader)); got != tt.dead || err != nil {
				t.Errorf("Probe = %v, %v; want %v", got, err, tt.dead)
			}
		})
	}
}

// An event stream that stays open after its answer must not hold up a probe.
func TestProbeOpenStream(t *testing.T) {
	for _, tt := range []struct {
		data string
		want bool
	}{
		{`{"jsonrpc":"2.0","id":"key2oauth-probe","error":{"code":-32001,"message":"invalid API key"}}`, true},
		{`{"jsonrpc":"2.0","id":"key2oauth-probe","result":{}}`, false},
	} {
		u := shimtest.NewUpstream(t, shimtest.Options{})
		u.Break(func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, ": hello\n\nid: 1\ndata: "+tt.data+"\n\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return true
		})
		if got, err := newClient(t).Probe(t.Context(), *target(t, u, endpoint.DefaultHeader)); got != tt.want || err != nil {
			t.Errorf("Probe = %v, %v; want %v", got, err, tt.want)
		}
	}
}

// FuzzDoubts: whatever an upstream sends, a part of an answer is in doubt only
// if it has words about the key.
func FuzzDoubts(f *testing.F) {
	f.Add(200, "application/json", []byte(`{"error":{"message":"invalid API key"}}`))
	f.Add(403, "", []byte(nil))
	f.Add(200, "text/event-stream", []byte(`"error":"error" : {forbidden`))
	f.Fuzz(func(t *testing.T, status int, kind string, part []byte) {
		if Doubts(status, kind, part) && !MentionsKey(string(part)) && (status != 403 || len(bytes.TrimSpace(part)) > 0) {
			t.Errorf("Doubts(%d, %q, %q)", status, kind, part)
		}
	})
}
