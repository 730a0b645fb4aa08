package upstream

import (
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

// A probe reads answers as package refusal does.
func TestProbeReads(t *testing.T) {
	for _, tt := range []struct {
		kind   string
		status int
		body   string
		dead   bool
	}{
		{"application/json", 403, `{"message":"Forbidden"}`, true},
		{"", 403, "", true},
		{"text/plain", 400, "Invalid API key", true},
		{"application/json", 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"Unauthorized: invalid API key"}}`, true},
		{"text/event-stream", 200, "event: message\ndata: " + `{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"Unauthorized"}}` + "\n\n", true},
		{"text/plain", 403, "only from localhost", false},
		{"application/json", 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"unknown tool"}}`, false},
	} {
		u := shimtest.NewUpstream(t, shimtest.Options{})
		u.Break(func(w http.ResponseWriter, r *http.Request) bool {
			w.Header()["Content-Type"] = []string{tt.kind}
			w.WriteHeader(tt.status)
			io.WriteString(w, tt.body)
			return true
		})
		if got, err := newClient(t).Probe(t.Context(), *target(t, u, endpoint.DefaultHeader)); got != tt.dead || err != nil {
			t.Errorf("%d %s: Probe = %v, %v; want %v", tt.status, tt.body, got, err, tt.dead)
		}
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
