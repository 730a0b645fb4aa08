package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

const deadWords = "Linear: " + TextRejected

// newMCPBench puts a proxy in front of an MCP server that rejects our key.
func newMCPBench(t *testing.T) (*shimtest.Upstream, *bench) {
	t.Helper()
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	return up, newBench(t, up.URL)
}

func (b *bench) setKey(key string) {
	b.set(func(c *Call) {
		t := *c.Upstream
		c.Upstream = &upstream.Target{URL: t.URL, Header: t.Header, Key: endpoint.NewSecret(key)}
	})
}

func TestP08RejectedKey(t *testing.T) {
	toolAnswer := func(id, extra string) string {
		return `{"jsonrpc":"2.0","id":` + id + `,"result":{` + extra + `"content":[{"type":"text","text":"` + deadWords + `"}],"isError":true}}`
	}
	errAnswer := func(id string) string {
		return `{"jsonrpc":"2.0","error":{"code":-32000,"message":"` + deadWords + `"},"id":` + id + `}`
	}
	pad := strings.Repeat("x", scanWindow)
	tests := []struct {
		name, method, body string
		header             []string
		status             int
		want               string
	}{
		{"P08 tools/call", "POST", callBody, nil, 200, toolAnswer("7", "")},
		{"P08 tools/call of 2026-07-28 by header", "POST", callBody, []string{"MCP-Protocol-Version", "2026-07-28"}, 200, toolAnswer("7", `"resultType":"complete",`)},
		{"P08 tools/call of 2026-07-28 by body", "POST", `{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"},"name":"echo"}}`,
			nil, 200, toolAnswer(`"x"`, `"resultType":"complete",`)},
		{"P08 tools/call by header", "POST", `{"jsonrpc":"2.0","id":1}`, []string{"Mcp-Method", "tools/call"}, 200, toolAnswer("1", "")},
		{"P08 other request", "POST", listBody, nil, 200, errAnswer(`"l-1"`)},
		{"P08 initialize", "POST", `{"method":"initialize","params":{},"jsonrpc":"2.0","id":0}`, nil, 200, errAnswer("0")},
		{"P08 batch", "POST", `[` + callBody + `,` + noteBody + `,` + listBody + `]`, nil, 200, `[` + toolAnswer("7", "") + `,` + errAnswer(`"l-1"`) + `]`},
		{"P08 batch of notifications", "POST", `[` + noteBody + `]`, nil, 503, errAnswer("null")},
		{"P08 batch past the window", "POST", `[` + callBody + `,{"x":"` + pad + `"}]`, nil, 503, errAnswer("null")},
		{"P08 notification", "POST", noteBody, nil, 503, errAnswer("null")},
		{"P08 client's answer", "POST", `{"jsonrpc":"2.0","id":3,"result":{}}`, nil, 503, errAnswer("null")},
		{"P08 id past the window", "POST", `{"method":"tools/call","params":{"name":"` + pad + `"},"id":7}`, nil, 503, errAnswer("null")},
		{"P08 id before the window's end", "POST", `{"id":7,"method":"tools/call","params":{"name":"` + pad + pad + `"}}`, nil, 200, toolAnswer("7", "")},
		{"P08 broken id", "POST", `{"id":"\q","method":"tools/call"}`, nil, 503, errAnswer("null")},
		{"P08 no JSON", "POST", `hello`, nil, 503, errAnswer("null")},
		{"P08 GET", "GET", "", nil, 503, errAnswer("null")},
		{"P08 DELETE", "DELETE", "", nil, 503, errAnswer("null")},
		{"P08 events only", "POST", listBody, []string{"Accept", "text/event-stream"}, 200, "event: message\ndata: " + errAnswer(`"l-1"`) + "\n\n"},
	}
	up, b := newMCPBench(t)
	n := 0
	for _, known := range []bool{false, true} {
		b.set(func(c *Call) { c.Rejected = func() (bool, bool) { return known, false } })
		for _, tt := range tests {
			name := tt.name
			if known {
				name += ", key known to be dead"
			}
			t.Run(name, func(t *testing.T) {
				up.Reset()
				r := b.request(t, tt.method, "", tt.body)
				for i := 0; i < len(tt.header); i += 2 {
					r.Header.Set(tt.header[i], tt.header[i+1])
				}
				res, body := b.do(t, r)
				if diff := cmp.Diff(tt.want, body); res.StatusCode != tt.status || diff != "" {
					t.Errorf("got %d, want %d; answer: %s", res.StatusCode, tt.status, diff)
				}
				if res.Header.Get("WWW-Authenticate") != "" {
					t.Error("got a challenge")
				}
				if got := res.Header.Get("Retry-After"); (got == "30") != (tt.status == 503) {
					t.Errorf("got Retry-After %q with status %d", got, tt.status)
				}
				n++
				out := b.last(t, n)
				if out.Status != 401 || out.Confirmed401 == known || out.Success {
					t.Errorf("got outcome %+v", out)
				}
				if known && len(up.Requests()) != 0 {
					t.Errorf("the upstream got %d requests, want none", len(up.Requests()))
				}
			})
		}
	}
}

func TestP08NewKey(t *testing.T) {
	up, b := newMCPBench(t)
	if _, body := b.post(t, callBody); !strings.Contains(body, deadWords) {
		t.Fatalf("got %s, want the words", body)
	}
	b.setKey(up.Key())
	res, body := b.post(t, `{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"echo","arguments":{"text":"alive"}}}`)
	if res.StatusCode != 200 || !strings.Contains(body, "alive") || strings.Contains(body, "isError\":true") {
		t.Errorf("after a new key: got %d %s", res.StatusCode, body)
	}
	if out := b.last(t, 2); !out.Success || out.Confirmed401 || out.Tool != "echo" {
		t.Errorf("got outcome %+v", out)
	}
}

// An upstream may answer and close before it has read the request.
func TestP08EarlyAnswer(t *testing.T) {
	up, b := newMCPBench(t)
	answered := make(chan struct{})
	answer := sync.OnceFunc(func() { close(answered) }) // the probe of the key is answered too
	up.Break(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Connection", "close")
		broke := shimtest.Status(401, "no")(w, r)
		http.NewResponseController(w).Flush()
		answer()
		return broke
	})
	pr, pw := io.Pipe()
	go func() {
		io.WriteString(pw, `{"jsonrpc":"2.0",`)
		<-answered
		io.WriteString(pw, `"method":"tools/call","id":"late"}`)
		pw.Close()
	}()
	r, err := http.NewRequestWithContext(t.Context(), "POST", b.URL+"/s1/mcp", pr)
	if err != nil {
		t.Fatal(err)
	}
	_, body := b.do(t, r)
	if !strings.HasPrefix(body, `{"jsonrpc":"2.0","id":"late","result":`) {
		t.Errorf("got %s, want an answer to the request that came late", body)
	}
}

// TestKeys checks the rules of probing: one at a time, one in 30 s, three
// strikes.
func TestKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var probes atomic.Int64
		var verdict atomic.Bool
		var broken atomic.Bool
		k := keys{client: judge{probe: func() (bool, error) {
			probes.Add(1)
			time.Sleep(time.Second)
			if broken.Load() {
				return true, errors.New("no answer")
			}
			return verdict.Load(), nil
		}}}
		one, two := &upstream.Target{Key: endpoint.NewSecret("1")}, &upstream.Target{Key: endpoint.NewSecret("2")}
		check := func(what string, got, want bool, n int64) {
			t.Helper()
			if got != want || probes.Load() != n {
				t.Errorf("%s: got dead %v after %d probes, want %v after %d", what, got, probes.Load(), want, n)
			}
		}
		ctx := t.Context()

		verdict.Store(true)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if !k.dead(ctx, "c", strike{method: "m"}, one) {
					t.Error("got alive, want dead")
				}
			})
		}
		wg.Wait()
		check("ten at once", true, true, 1)
		check("soon after", k.dead(ctx, "c", strike{method: "m"}, one), true, 1)
		verdict.Store(false)
		check("another key", k.dead(ctx, "c", strike{method: "m"}, two), false, 2)
		check("another credential", k.dead(ctx, "d", strike{method: "m"}, one), false, 3)
		time.Sleep(probeEvery)
		check("after 30 s", k.dead(ctx, "c", strike{method: "m"}, two), false, 4)
		k.clear("c", "initialize") // says nothing about m
		check("third strike", k.dead(ctx, "c", strike{method: "m"}, two), true, 4)
		k.clear("c", "m")
		check("after a success", k.dead(ctx, "c", strike{method: "m"}, two), false, 4)
		time.Sleep(probeEvery)
		broken.Store(true)
		check("probe without an answer", k.dead(ctx, "c", strike{method: "m"}, two), false, 5)

		time.Sleep(probeEvery)
		gone, cancel := context.WithCancel(ctx)
		time.AfterFunc(100*time.Millisecond, cancel)
		start := time.Now()
		check("client that left", k.dead(gone, "c", strike{method: "m"}, two), false, 6)
		if d := time.Since(start); d > 200*time.Millisecond {
			t.Errorf("waited %v for the probe after the client had left", d)
		}
		time.Sleep(2 * time.Second)
	})
}

// A judge is a Client for probes alone, which prove nothing about a key.
type judge struct {
	Client
	probe func() (bool, error)
}

func (j judge) Probe(context.Context, upstream.Target) (bool, error) { return j.probe() }

func (judge) Tells(context.Context, upstream.Target) bool { return false }

// FuzzRepair: for any body, the answer is JSON and contains only IDs from the
// body.
func FuzzRepair(f *testing.F) {
	f.Add([]byte(callBody), "2026-07-28")
	f.Add([]byte(`[`+callBody+`,`+listBody+`,{"id":"\ud800"}]`), "")
	f.Add([]byte(`[{"id":1},{"id":`), "")
	f.Fuzz(func(t *testing.T, body []byte, version string) {
		e := &activeCall{in: &http.Request{Method: "POST", Header: http.Header{"Mcp-Protocol-Version": {version}}}}
		e.scan.write(body)
		answer := e.repairRPC("words")
		if answer == nil {
			return
		}
		var one struct{ ID json.RawMessage }
		var many []struct{ ID json.RawMessage }
		if e.scan.batched {
			if err := json.Unmarshal(answer, &many); err != nil {
				t.Fatalf("%v: %s", err, answer)
			}
		} else if err := json.Unmarshal(answer, &one); err != nil {
			t.Fatalf("%v: %s", err, answer)
		}
		if e.scan.batched && json.Valid(body) {
			var sent []json.RawMessage
			if json.Unmarshal(body, &sent) == nil && len(many) > len(sent) {
				t.Errorf("got %d answers to %d messages", len(many), len(sent))
			}
		}
	})
}
