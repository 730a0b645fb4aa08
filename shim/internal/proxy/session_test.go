package proxy

import (
	"net/http"
	"strconv"
	"testing"
)

func TestP22Sessions(t *testing.T) {
	o := newOrigin(t, nil)
	b := newBench(t, o.URL+"/mcp")
	mint := func(id, grant string) {
		o.set(answerWith(200, "application/json", "{}", "Mcp-Session-Id", id))
		b.post(t, listBody, "X-Test-Grant", grant)
		o.set(nil)
	}
	use := func(grant string, ids ...string) int {
		h := []string{"X-Test-Grant", grant}
		for _, id := range ids {
			h = append(h, "Mcp-Session-Id", id)
		}
		res, _ := b.post(t, listBody, h...)
		return res.StatusCode
	}
	mint("sid-a", "A")
	for _, tt := range []struct {
		name  string
		grant string
		ids   []string
		want  int
	}{
		{"own", "A", []string{"sid-a"}, 200},
		{"foreign", "B", []string{"sid-a"}, 404},
		{"unknown", "B", []string{"sid-x"}, 200},
		{"foreign as the second", "B", []string{"sid-x", "sid-a"}, 404},
		{"none", "B", nil, 200},
	} {
		if got := use(tt.grant, tt.ids...); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
	// An upstream that repeats the request's session ID in every answer does
	// not create a session that way.
	o.set(answerWith(200, "application/json", "{}", "Mcp-Session-Id", "sid-old"))
	b.post(t, listBody, "X-Test-Grant", "B", "Mcp-Session-Id", "sid-old")
	o.set(nil)
	if got := use("A", "sid-old"); got != 200 {
		t.Errorf("an id from before a restart: got %d, want 200", got)
	}
	// An upstream that gives every client the same ID must keep working.
	mint("same", "A")
	mint("same", "B")
	if a, b := use("A", "same"), use("B", "same"); a != 200 || b != 200 {
		t.Errorf("an id given to both: got %d and %d, want 200", a, b)
	}
	// A session stays if the request to end it failed.
	o.set(answerWith(405, "text/plain", "no"))
	b.do(t, b.request(t, "DELETE", "", "", "X-Test-Grant", "A", "Mcp-Session-Id", "sid-a"))
	o.set(nil)
	if got := use("B", "sid-a"); got != 404 {
		t.Errorf("after a DELETE that failed: got %d, want 404", got)
	}
	b.do(t, b.request(t, "DELETE", "", "", "X-Test-Grant", "A", "Mcp-Session-Id", "sid-a"))
	if got := use("B", "sid-a"); got != 200 {
		t.Errorf("after DELETE: got %d, want 200", got)
	}
}

func TestSessionBounds(t *testing.T) {
	var s sessions
	for i := range maxSessions + 100 {
		s.remember("s1", "sid-"+strconv.Itoa(i), "A")
	}
	if len(s.known) != maxSessions || s.used.Len() != maxSessions {
		t.Errorf("got %d and %d sessions, want %d", len(s.known), s.used.Len(), maxSessions)
	}
	h := http.Header{sessionHeader: {"sid-" + strconv.Itoa(maxSessions)}}
	if s.allowed(h, "s1", "B") || !s.allowed(h, "s1", "A") || !s.allowed(h, "s2", "B") {
		t.Error("a session is not tied to its grant and endpoint")
	}
	if !s.allowed(http.Header{sessionHeader: {"sid-0"}}, "s1", "B") {
		t.Error("the oldest session is still known")
	}
}
