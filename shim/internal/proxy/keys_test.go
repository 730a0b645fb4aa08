package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// A 401 to a good key has another cause: it ends a session, or refuses one
// request. It never counts against the key where a probe tells a key from none.
func TestP08UnconfirmedRejection(t *testing.T) {
	const own = `{"jsonrpc":"2.0","error":{"code":-32000,"message":"session not found"},"id":null}`
	const theirs = `{"error":"slow down"}`
	type answer struct {
		status int
		body   string
	}
	gone, forbidden := answer{404, own}, answer{403, theirs}
	session := []string{"Mcp-Session-Id", "lost"}
	for _, tt := range []struct {
		name, method, body string
		header             []string
		opens              bool // the upstream asks for no key in the first request
		want               answer
		dead               bool // after the third in a row
	}{
		{"call", "POST", callBody, nil, false, forbidden, false},
		{"call, probe proves nothing", "POST", callBody, nil, true, forbidden, true},
		{"call in a session", "POST", callBody, session, false, gone, false},
		{"call in a session, probe proves nothing", "POST", callBody, session, true, gone, false},
		{"notification", "POST", noteBody, nil, false, forbidden, false},
		{"notification in a session", "POST", noteBody, session, true, gone, false},
		{"batch", "POST", "[" + callBody + "," + listBody + "]", nil, false, forbidden, false},
		{"initialize", "POST", `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}`, nil, false, forbidden, false},
		{"stream", "GET", "", nil, false, forbidden, false},
		{"stream, probe proves nothing", "GET", "", nil, true, forbidden, false},
		{"stream of a session", "GET", "", session, true, gone, false},
		{"end of a session", "DELETE", "", session, true, gone, false},
		{"end of no session", "DELETE", "", nil, true, forbidden, false},
		{"head", "HEAD", "", nil, true, answer{403, ""}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			up, b := newMCPBench(t)
			b.setKey(up.Key())
			if tt.opens {
				up.OpenTo("initialize", "server/discover")
			}
			up.Break(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("X-Fail") == "" {
					return false
				}
				w.Header().Set("WWW-Authenticate", "Bearer")
				w.Header().Set("X-Request-Id", "theirs")
				return shimtest.Status(401, theirs)(w, r)
			})
			send := func(n int, header ...string) (*http.Response, string, Outcome) {
				t.Helper()
				res, body := b.do(t, b.request(t, tt.method, "", tt.body, append(header, tt.header...)...))
				return res, body, b.last(t, n)
			}
			for n := 1; n <= 6; n++ {
				want, dead := tt.want, tt.dead && n >= strikes
				res, body, out := send(n, "X-Fail", "1")
				if dead {
					want = answer{200, body}
				}
				if res.StatusCode != want.status || body != want.body || strings.Contains(body, deadWords) != dead {
					t.Errorf("answer %d: got %d %s, want %d %s", n, res.StatusCode, body, want.status, want.body)
				}
				if res.Header.Get("WWW-Authenticate") != "" {
					t.Error("got a challenge")
				}
				if out.Confirmed401 != dead || out.Success || dead != (out.Status == 401) {
					t.Errorf("answer %d: got outcome %+v", n, out)
				}
			}
			probes := map[bool]int{} // with a key
			for _, r := range up.Requests() {
				if r.Header.Get("X-Fail") == "" && (r.RPC == "initialize" || r.RPC == "server/discover") {
					probes[r.Header.Get("Authorization") != ""]++
				}
			}
			if probes[true] != 1 || probes[false] != 1 {
				t.Errorf("got %d probes with a key and %d without one within 30 s, want one of each", probes[true], probes[false])
			}
		})
	}
}

// Strikes count in a row only.
func TestP08StrikesEnd(t *testing.T) {
	up, b := newMCPBench(t)
	b.setKey(up.Key())
	up.OpenTo("initialize", "server/discover")
	up.Break(func(w http.ResponseWriter, r *http.Request) bool {
		return r.Header.Get("X-Fail") != "" && shimtest.Status(401, "no")(w, r)
	})
	fail, good := []string{"X-Fail", "1"}, []string(nil)
	for i, tt := range []struct {
		name   string
		header []string
		status int
		dead   bool
	}{
		{"first", fail, 403, false}, {"second", fail, 403, false}, {"success", good, 200, false},
		{"first again", fail, 403, false}, {"second again", fail, 403, false}, {"third in a row", fail, 200, true},
	} {
		res, body := b.post(t, strings.Replace(callBody, `"arguments":{}`, `"arguments":{"text":"x"}`, 1), tt.header...)
		if res.StatusCode != tt.status || strings.Contains(body, deadWords) != tt.dead {
			t.Errorf("%s: got %d %s", tt.name, res.StatusCode, body)
		}
		if out := b.last(t, i+1); out.Confirmed401 != tt.dead {
			t.Errorf("%s: got outcome %+v", tt.name, out)
		}
	}
}

// A key can die in other words than 401. The client gets them as they are, and
// a probe finds out whether they are about the key.
func TestP08OtherRefusals(t *testing.T) {
	const event = "event: message\ndata: "
	for _, tt := range []struct {
		name, kind string
		status     int
		body       string
	}{
		{"403", "application/json", 403, `{"message":"Forbidden"}`},
		{"400", "application/json", 400, `{"error":"Invalid API key"}`},
		{"JSON-RPC", "application/json", 200, `{"jsonrpc":"2.0","id":7,"error":{"code":-32000,"message":"Unauthorized: invalid API key"}}`},
		{"JSON-RPC in an event", "text/event-stream", 200, event + `{"jsonrpc":"2.0","id":7,"error":{"code":-32000,"message":"Unauthorized: invalid API key"}}` + "\n\n"},
	} {
		for _, dead := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, key dead: %v", tt.name, dead), func(t *testing.T) {
				up, b := newMCPBench(t)
				b.setKey(up.Key())
				judged := make(chan bool, 10)
				var known atomic.Bool
				b.set(func(c *Call) {
					c.Judged = func(rejected bool) { judged <- rejected }
					c.Rejected = func() (bool, bool) { return false, known.Load() }
				})
				up.Break(func(w http.ResponseWriter, r *http.Request) bool {
					ours := strings.Contains(r.UserAgent(), upstream.UserAgent)
					if ours && !dead {
						return false
					}
					answerWith(tt.status, tt.kind, tt.body)(w, r)
					return true
				})
				for n := 1; n <= 3; n++ {
					res, body := b.post(t, callBody)
					if res.StatusCode != tt.status || body != tt.body {
						t.Errorf("got %d %s, want the upstream's answer", res.StatusCode, body)
					}
					if out := b.last(t, n); out.Success || out.Confirmed401 {
						t.Errorf("got outcome %+v", out)
					}
					select {
					case got := <-judged:
						if got != dead {
							t.Errorf("judged %v, want %v", got, dead)
						}
					case <-time.After(testenv.Patience):
						t.Fatal("the key was not judged")
					}
				}
				if n := probes(up); n != 1 {
					t.Errorf("got %d probes within 30 s, want 1", n)
				}
				// A try of a rejected key tells as much as a probe.
				known.Store(true)
				b.post(t, callBody)
				b.last(t, 4)
				if len(judged) != 0 || probes(up) != 1 {
					t.Error("a try of a rejected key made a probe")
				}
			})
		}
	}
}

// probes counts the probes with a key that an upstream got.
func probes(up *shimtest.Upstream) (n int) {
	for _, r := range up.Requests() {
		if r.Header.Get("User-Agent") == upstream.UserAgent && r.Method == http.MethodPost && r.Header.Get("Authorization") != "" {
			n++
		}
	}
	return n
}

// A key that was rejected is tried with the client's own request alone. In a
// session the answer may be about that, so there a probe has to confirm it.
func TestP08Retry(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header []string
		good   bool // the key is good again
		status int
		probes int
	}{
		{"still dead", nil, false, 200, 0},
		{"still dead, in a session", []string{"Mcp-Session-Id", "lost"}, false, 200, 1},
		{"good again, in a lost session", []string{"Mcp-Session-Id", "lost"}, true, 404, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			up, b := newMCPBench(t)
			if tt.good {
				b.setKey(up.Key())
			}
			b.set(func(c *Call) { c.Rejected = func() (bool, bool) { return false, true } })
			up.Break(func(w http.ResponseWriter, r *http.Request) bool {
				return r.Header.Get("Mcp-Session-Id") == "lost" && shimtest.Status(401, "no")(w, r)
			})
			res, body := b.post(t, callBody, tt.header...)
			if res.StatusCode != tt.status || strings.Contains(body, deadWords) == tt.good {
				t.Errorf("got %d %s", res.StatusCode, body)
			}
			if n := probes(up); n != tt.probes {
				t.Errorf("got %d probes, want %d", n, tt.probes)
			}
		})
	}
}

// An upstream with sessions that asks for the key in tools/call alone: each 401
// begins a new session, in which the next one comes. That ends, but sessions
// that were lost in a restart do not end it.
func TestP08StrikesInSessions(t *testing.T) {
	var n atomic.Int64
	var refuse atomic.Bool
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		switch {
		case strings.Contains(string(b), `"initialize"`):
			answerWith(200, "application/json", "{}", "Mcp-Session-Id", fmt.Sprint("s", n.Add(1)))(w, r)
		case refuse.Load():
			answerWith(401, "", "")(w, r)
		default:
			answerWith(200, "application/json", "{}")(w, r)
		}
	})
	b := newBench(t, o.URL+"/mcp")
	open := func() string {
		t.Helper()
		res, _ := b.post(t, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}`)
		return res.Header.Get("Mcp-Session-Id")
	}
	call := func(session string) (int, bool) {
		t.Helper()
		res, body := b.post(t, callBody, "Mcp-Session-Id", session)
		return res.StatusCode, strings.Contains(body, deadWords)
	}
	var lost []string
	for range 8 {
		lost = append(lost, open())
	}
	refuse.Store(true)
	for _, s := range append(lost, lost...) {
		if status, dead := call(s); status != 404 || dead {
			t.Errorf("a lost session: got %d, dead %v", status, dead)
		}
	}
	refuse.Store(false)
	if status, _ := call(open()); status != 200 {
		t.Errorf("a new session: got %d", status)
	}
	refuse.Store(true)
	var got []bool
	for range strikes + 1 {
		_, dead := call(open())
		got = append(got, dead)
	}
	// All were given after the last 401, so each counts.
	if want := []bool{false, false, true, true}; !slices.Equal(got, want) {
		t.Errorf("calls in sessions of their own found the key dead: %v, want %v", got, want)
	}
}

// TestP08RefusalInTwo: words about the key count the same wherever they are cut.
// The second part comes when the first has gone through.
func TestP08RefusalInTwo(t *testing.T) {
	for _, tt := range []struct {
		kind   string
		status int
		body   string
	}{
		{"application/json", 400, `{"error":"Invalid API key"}`},
		{"application/json", 403, "\n{\"error\":\"Forbidden\"}"},
		{"application/json", 200, `{"jsonrpc":"2.0","id":7,"error":{"message":"invalid API key"}}`},
		{"text/event-stream", 200, "data: {\"error\":{\"message\":\"invalid API key\"}}\n\n"},
	} {
		arrived := make(chan struct{})
		cut := 0
		o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			if r.UserAgent() == upstream.UserAgent {
				return // a probe
			}
			w.Header().Set("Content-Type", tt.kind)
			w.WriteHeader(tt.status)
			flush(w, tt.body[:cut])
			<-arrived
			io.WriteString(w, tt.body[cut:])
		}))
		b := newBench(t, o.URL+"/mcp")
		b.setKey("short") // nothing is held for it
		judged := make(chan bool, 1)
		b.set(func(c *Call) { c.Judged = func(rejected bool) { judged <- rejected } })
		for cut = 1; cut < len(tt.body); cut++ {
			res, err := http.DefaultClient.Do(b.request(t, "POST", "", callBody))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(res.Body, make([]byte, cut)); err != nil {
				t.Fatal(err)
			}
			arrived <- struct{}{}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			select {
			case <-judged:
			case <-time.After(testenv.Patience):
				t.Fatalf("%d, cut after %q: nothing asked about the key", tt.status, tt.body[:cut])
			}
		}
		o.Close()
	}
}
