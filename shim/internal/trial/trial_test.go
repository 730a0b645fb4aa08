package trial

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// target returns what a shim would make for u.
func target(t testing.TB, u *shimtest.Upstream, h endpoint.Header) *upstream.Target {
	t.Helper()
	parsed, err := url.Parse(u.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &upstream.Target{URL: parsed, Header: h, Key: endpoint.NewSecret(u.Key())}
}

func newTester(t testing.TB) *Tester {
	c := upstream.New(nil)
	t.Cleanup(c.CloseIdleConnections)
	return &Tester{Client: c}
}

// check checks what must be true of every verdict.
func check(t *testing.T, v Verdict, outcome Outcome, status int, words ...string) {
	t.Helper()
	if v.Outcome != outcome || v.Status != status {
		t.Errorf("got %s with status %d, want %s with %d; words: %s", v.Outcome, v.Status, outcome, status, v.Words)
	}
	for _, w := range words {
		if !strings.Contains(v.Words, w) {
			t.Errorf("words are %q, want %q in them", v.Words, w)
		}
	}
	if v.Words == "" || strings.Contains(v.Words, shimtest.DefaultKey) || strings.ContainsAny(v.Words, "<>\n\x00") || utf8.RuneCountInString(v.Words) > 600 {
		t.Errorf("words are %q, want a sentence without key and markup", v.Words)
	}
}

// part returns the longest part of a text that is the same in every sentence made
// from it.
func part(text string) string {
	parts := regexp.MustCompile("%[sdq]").Split(text, -1)
	return slices.MaxFunc(parts, func(a, b string) int { return len(a) - len(b) })
}

func TestTry(t *testing.T) {
	tests := []struct {
		name    string
		opts    shimtest.Options
		modern  bool
		deletes bool // a session is opened and ended
	}{
		{"stateful", shimtest.Options{}, false, true},
		{"stateless", shimtest.Options{Stateless: true}, true, false},
		{"JSON", shimtest.Options{JSON: true}, false, true},
		{"2025-03-26", shimtest.Options{Versions: []string{"2025-03-26"}}, false, true},
		{"path that redirects", shimtest.Options{Path: "/mcp/"}, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := shimtest.NewUpstream(t, tt.opts)
			u.Break(nil)
			tg := target(t, u, endpoint.DefaultHeader)
			if tt.opts.Path == "/mcp/" {
				u.Break(shimtest.SlashRedirect())
				tg.URL.Path = "/mcp"
			}
			k := newTester(t)
			start := time.Now()
			v := k.Try(t.Context(), *tg)
			check(t, v, OK, 200, fmt.Sprintf(TextWorksMany, shimtest.ServerName, shimtest.Tools))
			if v.Server != shimtest.ServerName || v.Tools != shimtest.Tools || v.Header != endpoint.DefaultHeader {
				t.Errorf("got %+v", v)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
			deletes := 0
			for _, r := range u.Requests() {
				if r.Method == http.MethodDelete {
					deletes++
				}
				if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
					t.Errorf("asked for compression: %v", r.Header)
				}
			}
			if (deletes > 0) != tt.deletes {
				t.Errorf("%d sessions were ended, want some: %t", deletes, tt.deletes)
			}

			u.Reset()
			rejected, err := k.Client.Probe(t.Context(), *tg)
			first := u.Requests()[len(u.Requests())-1]
			for _, r := range u.Requests() {
				if r.RPC != "" {
					first = r
				}
			}
			if rejected || err != nil || (first.RPC == "server/discover") != tt.modern {
				t.Errorf("probe by %q: rejected %t, %v; want it to pass, by server/discover: %t", first.RPC, rejected, err, tt.modern)
			}
			u.SetKey("another-key-999")
			if rejected, err = k.Client.Probe(t.Context(), *tg); !rejected || err != nil {
				t.Errorf("probe after the key changed: rejected %t, %v; want rejected", rejected, err)
			}
			check(t, k.Try(t.Context(), *tg), Rejected, 401, part(TextRejected), "This API key is not valid")
		})
	}
}

func TestTryLegacySSE(t *testing.T) {
	u := shimtest.NewUpstream(t, shimtest.Options{LegacySSE: true})
	k := newTester(t)
	tg := target(t, u, endpoint.DefaultHeader)
	v := k.Try(t.Context(), *tg)
	check(t, v, OK, 200, fmt.Sprintf(TextWorksMany, shimtest.ServerName, shimtest.Tools))
	if !v.LegacySSE {
		t.Errorf("got %+v, want LegacySSE", v)
	}
	u.SetKey("another-key-999")
	check(t, k.Try(t.Context(), *tg), Rejected, 401, part(TextRejected))
	u.OpenTo("*")
	check(t, k.Try(t.Context(), *tg), Keyless, 200, part(TextKeyless))
}

func TestTryBadUpstreams(t *testing.T) {
	rpcError := func(code int, message string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"error":{"code":%d,"message":%q}}`, code, message)
	}
	echo := func(code int) shimtest.Fault {
		return func(w http.ResponseWriter, r *http.Request) bool {
			return shimtest.Status(code, "bad key: "+strings.ToUpper(r.Header.Get("Authorization")))(w, r)
		}
	}
	tests := []struct {
		name    string
		fault   shimtest.Fault
		outcome Outcome
		status  int
		words   []string
	}{
		{"401", shimtest.Status(401, `{"error":{"message":"Incorrect key"}}`), Rejected, 401, []string{part(TextRejected), `"Incorrect key"`}},
		{"401 without a body", shimtest.Status(401, ""), Rejected, 401, []string{strings.ReplaceAll(TextRejected, "%s", "")}},
		{"403", shimtest.Status(403, "not in your plan"), Rejected, 403, []string{"403", `"not in your plan"`}},
		{"403 to all but localhost", shimtest.Status(403, `{"error":"Forbidden: only accessible at localhost"}`), Barred, 403, []string{"localhost", part(TextBarred)}},
		{"403 to another host", shimtest.Status(403, `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Invalid Host: mcp.example"}}`), Barred, 403, []string{"Invalid Host"}},
		{"403 to an origin", shimtest.Status(403, "Origin not allowed"), Barred, 403, []string{"Origin not allowed"}},
		{"403 to an address", shimtest.Status(403, "Your IP address is not on the allowlist"), Barred, 403, []string{"allowlist"}},
		{"403 of a firewall", shimtest.Status(403, "<!doctype html><title>Access denied</title>"), Barred, 403, []string{"Access denied"}},
		{"403 about the key at this host", shimtest.Status(403, "This API key is not allowed from your IP"), Rejected, 403, []string{"API key"}},
		{"403 with nothing", shimtest.Status(403, ""), Rejected, 403, nil},
		{"429", shimtest.Status(429, "slow down"), Busy, 429, []string{part(TextTooMany), `"slow down"`}},
		{"500", shimtest.Status(500, "<h1>Oops</h1>"), Busy, 500, []string{"500", `"Oops"`}},
		{"503", shimtest.Status(503, "maintenance"), Busy, 503, []string{"maintenance"}},
		{"404", shimtest.Status(404, "nothing here"), NotMCP, 404, []string{part(TextNothing)}},
		{"405", shimtest.Status(405, "no"), NotMCP, 405, []string{part(TextNotMCP)}},
		{"HTML", shimtest.HTML(), NotMCP, 200, []string{part(TextPage)}},
		{"JSON that is no JSON-RPC", shimtest.NotJSONRPC(), NotMCP, 200, []string{part(TextNotMCP)}},
		{"empty answer", shimtest.Status(200, ""), NotMCP, 200, nil},
		{"key echoed", echo(401), Rejected, 401, []string{"bad key", "[hidden]"}},
		{"400 about the key", shimtest.Status(400, `{"error":"API key not valid"}`), Rejected, 400, []string{part(TextNotAccepted), "API key not valid"}},
		{"JSON-RPC error about the key", shimtest.Status(200, rpcError(-32001, "Unauthorized")), Rejected, 200, []string{"Unauthorized"}},
		{"JSON-RPC error about something else", shimtest.Status(200, rpcError(-32603, "database is down")), Odd, 200, []string{"database is down"}},
		{"JSON-RPC error without an id", shimtest.Status(200, `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Missing token"}}`), Rejected, 200, []string{"Missing token"}},
		{"closes mid-stream", shimtest.CutMidStream(), Unreachable, 200, []string{upstream.TextBrokeOff}},
		{"closes mid-body", shimtest.CutMidBody(), Unreachable, 200, []string{upstream.TextBrokeOff}},
		{"same-origin 302", shimtest.Redirect(302, "/login"), Redirect, 0, []string{"/login"}},
		{"endless answer", func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(strings.Repeat(" ", 1<<16))); err != nil {
					break
				}
			}
			return true
		}, NotMCP, 200, []string{TextTooLong}},
		{"tools/list refused", onlyRPC("tools/list", shimtest.Status(401, "no")), Rejected, 401, nil},
		{"tools/list forbidden", onlyRPC("tools/list", shimtest.Status(403, "no")), Rejected, 403, nil},
		{"tools/list broken", onlyRPC("tools/list", shimtest.Status(502, "no")), Busy, 502, nil},
		{"discover with garbage", onlyRPC("server/discover", shimtest.NotJSONRPC()), OK, 200, nil},
		{"discover with a page", onlyRPC("server/discover", shimtest.HTML()), OK, 200, nil},
		{"discover with 500", onlyRPC("server/discover", shimtest.Status(500, "")), OK, 200, nil},
		{"discover with 401 alone", onlyRPC("server/discover", shimtest.Status(401, "")), OK, 200, nil},
		{"discover cut", onlyRPC("server/discover", shimtest.CutMidStream()), OK, 200, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := shimtest.NewUpstream(t, shimtest.Options{})
			u.Break(tt.fault)
			start := time.Now()
			v := newTester(t).Try(t.Context(), *target(t, u, endpoint.DefaultHeader))
			check(t, v, tt.outcome, tt.status, tt.words...)
			if d := time.Since(start); d > 15*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

// onlyRPC lets f answer requests of one JSON-RPC method.
func onlyRPC(method string, f shimtest.Fault) shimtest.Fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		return err == nil && strings.Contains(string(body), `"method":"`+method+`"`) && f(w, r)
	}
}

func TestTryHangs(t *testing.T) {
	tests := []struct {
		name    string
		fault   shimtest.Fault
		outcome Outcome
		words   string
	}{
		{"everything", shimtest.Hang(), Unreachable, explain(context.DeadlineExceeded)},
		{"after the headers", func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "text/html")
			http.NewResponseController(w).Flush()
			return shimtest.Hang()(w, r)
		}, Unreachable, explain(context.DeadlineExceeded)},
		{"silent stream", func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "text/event-stream")
			http.NewResponseController(w).Flush()
			return shimtest.Hang()(w, r)
		}, Unreachable, explain(context.DeadlineExceeded)},
		{"discover alone", onlyRPC("server/discover", shimtest.Hang()), OK, part(TextWorksMany)},
		{"the end of the session", shimtest.Only("DELETE", shimtest.Hang()), OK, part(TextWorksMany)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := shimtest.NewUpstream(t, shimtest.Options{})
			u.Break(tt.fault)
			k := newTester(t)
			k.Limit = 4 * time.Second
			start := time.Now()
			v := k.Try(t.Context(), *target(t, u, endpoint.DefaultHeader))
			if v.Outcome != tt.outcome || !strings.Contains(v.Words, tt.words) {
				t.Errorf("got %+v, want %s, %q", v, tt.outcome, tt.words)
			}
			if d := time.Since(start); d > k.Limit+time.Second {
				t.Errorf("took %v, want %v at most", d, k.Limit)
			}
		})
	}
	t.Run("the person goes away", func(t *testing.T) {
		u := shimtest.NewUpstream(t, shimtest.Options{})
		u.Break(shimtest.Hang())
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		newTester(t).Try(ctx, *target(t, u, endpoint.DefaultHeader))
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("took %v after the caller had gone", d)
		}
	})
}

func TestTryUnreachable(t *testing.T) {
	tlsOnly := shimtest.NewUpstream(t, shimtest.Options{TLS: true})
	plain := shimtest.NewUpstream(t, shimtest.Options{})
	tests := []struct {
		name, url string
		outcome   Outcome
		fault     upstream.Fault
		words     string
	}{
		{"no one listens", "http://127.0.0.1:1/mcp", Unreachable, "", upstream.Explain(syscall.ECONNREFUSED)},
		{"no such name", "https://nobody.invalid/mcp", Unreachable, upstream.FaultName, ""},
		{"untrusted certificate", tlsOnly.URL, Unreachable, upstream.FaultCertificate, ""},
		{"no TLS there", strings.Replace(plain.URL, "http:", "https:", 1), Unreachable, upstream.FaultPlain, ""},
		{"metadata", "http://169.254.169.254/mcp", Refused, "", "169.254.169.254"},
		{"public over http", "http://192.0.2.1/mcp", Refused, "", safedial.Judge(netip.MustParseAddr("192.0.2.1"), "http")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, _ := url.Parse(tt.url)
			v := newTester(t).Try(t.Context(), upstream.Target{URL: u, Header: endpoint.DefaultHeader, Key: endpoint.NewSecret(shimtest.DefaultKey)})
			check(t, v, tt.outcome, 0, tt.words)
			// Without a name server, a machine cannot tell that a name does not
			// exist.
			if v.Fault != tt.fault && !(tt.fault == upstream.FaultName && v.Fault == upstream.FaultNetwork) {
				t.Errorf("the fault is %q, want %q", v.Fault, tt.fault)
			}
			if v.Words == upstream.Explain(io.ErrNoProgress) {
				t.Errorf("no better words than %q", v.Words)
			}
		})
	}
}

// TestTryOwnListener proves that we never call ourselves.
func TestTryOwnListener(t *testing.T) {
	u := shimtest.NewUpstream(t, shimtest.Options{})
	own := netip.MustParseAddrPort(strings.TrimPrefix(u.Origin, "http://"))
	k := &Tester{Client: upstream.New(&safedial.Guard{Own: func() []netip.AddrPort { return []netip.AddrPort{own} }})}
	check(t, k.Try(t.Context(), *target(t, u, endpoint.DefaultHeader)), Refused, 0, safedial.WhyOwn)
	if n := len(u.Requests()); n != 0 {
		t.Errorf("%d requests arrived, want none", n)
	}
}

// TestTryLeavesNothingBehind proves that trials end their sessions, streams and
// goroutines in every case.
func TestTryLeavesNothingBehind(t *testing.T) {
	good := shimtest.NewUpstream(t, shimtest.Options{})
	sse := shimtest.NewUpstream(t, shimtest.Options{LegacySSE: true})
	cut := shimtest.NewUpstream(t, shimtest.Options{})
	cut.Break(shimtest.CutMidStream())
	hung := shimtest.NewUpstream(t, shimtest.Options{})
	hung.Break(shimtest.Hang())
	k := newTester(t)
	k.Limit = 500 * time.Millisecond
	round := func() {
		for _, u := range []*shimtest.Upstream{good, sse, cut, hung} {
			k.Try(t.Context(), *target(t, u, endpoint.DefaultHeader))
		}
		k.Client.CloseIdleConnections()
	}
	round()
	before := runtime.NumGoroutine()
	for range 4 {
		round()
	}
	for end := time.Now().Add(testenv.Patience); runtime.NumGoroutine() > before+2; time.Sleep(20 * time.Millisecond) { // connections take a moment to end
		if time.Now().After(end) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}

func TestTryKeyless(t *testing.T) {
	tests := []struct {
		name    string
		open    []string
		key     string
		outcome Outcome
		words   string
	}{
		{"needs the key", nil, shimtest.DefaultKey, OK, part(TextWorksMany)},
		{"needs none", []string{"*"}, shimtest.DefaultKey, Keyless, part(TextKeyless)},
		{"needs none, wrong key", []string{"*"}, "wrong-key-00", Keyless, part(TextKeyless)},
		{"only calls need it", []string{"server/discover", "initialize", "notifications/initialized", "tools/list"}, "wrong-key-00", Keyless, part(TextKeyless)},
		{"tools need it", []string{"server/discover", "initialize", "notifications/initialized"}, shimtest.DefaultKey, OK, part(TextWorksMany)},
		{"no key given, needs none", []string{"*"}, "", Keyless, part(TextOpen)},
		{"no key given, needs one", nil, "", Rejected, part(TextAsks)},
	}
	for _, tt := range tests {
		for _, stateless := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/stateless=%t", tt.name, stateless), func(t *testing.T) {
				u := shimtest.NewUpstream(t, shimtest.Options{Stateless: stateless})
				u.OpenTo(tt.open...)
				tg := target(t, u, endpoint.DefaultHeader)
				tg.Key = endpoint.NewSecret(tt.key)
				v := newTester(t).Try(t.Context(), *tg)
				if v.Outcome != tt.outcome || !strings.Contains(v.Words, tt.words) {
					t.Errorf("got %+v, want %s, %q", v, tt.outcome, tt.words)
				}
			})
		}
	}
}

func TestTryHeaders(t *testing.T) {
	tests := []struct {
		name    string
		opts    shimtest.Options
		given   endpoint.Header
		key     string
		outcome Outcome
		works   endpoint.Header
		words   string
	}{
		{"default", shimtest.Options{}, endpoint.DefaultHeader, "", OK, endpoint.DefaultHeader, part(TextWorksMany)},
		{"X-API-Key", shimtest.Options{Header: "X-Api-Key"}, endpoint.DefaultHeader, "", OK, endpoint.Header{Name: "X-Api-Key"}, fmt.Sprintf(TextHeaderAlone, "X-Api-Key")},
		{"api-key", shimtest.Options{Header: "Api-Key"}, endpoint.DefaultHeader, "", OK, endpoint.Header{Name: "Api-Key"}, fmt.Sprintf(TextHeaderAlone, "Api-Key")},
		{"bare", shimtest.Options{Header: "Authorization"}, endpoint.DefaultHeader, "", OK, endpoint.Header{Name: "Authorization"}, fmt.Sprintf(TextHeaderAlone, "Authorization")},
		{"wrong key", shimtest.Options{Header: "X-Api-Key"}, endpoint.DefaultHeader, "wrong-key-00", Rejected, endpoint.DefaultHeader, part(TextRejected)},
		{"header chosen by the owner", shimtest.Options{}, endpoint.Header{Name: "X-Api-Key"}, "", Rejected, endpoint.Header{Name: "X-Api-Key"}, part(TextRejected)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := shimtest.NewUpstream(t, tt.opts)
			tg := target(t, u, tt.given)
			if tt.key != "" {
				tg.Key = endpoint.NewSecret(tt.key)
			}
			v := newTester(t).TryHeaders(t.Context(), *tg, endpoint.UsualHeaders)
			if v.Outcome != tt.outcome || v.Header != tt.works || !strings.Contains(v.Words, tt.words) {
				t.Errorf("got %+v, want %s with %v", v, tt.outcome, tt.works)
			}
		})
	}
	t.Run("anonymous upstream that rejects wrong keys", func(t *testing.T) {
		u := shimtest.NewUpstream(t, shimtest.Options{})
		u.OpenTo("*")
		u.Break(func(w http.ResponseWriter, r *http.Request) bool {
			return r.Header.Get("Authorization") != "" && shimtest.Status(401, "wrong")(w, r)
		})
		v := newTester(t).TryHeaders(t.Context(), *target(t, u, endpoint.DefaultHeader), endpoint.UsualHeaders)
		check(t, v, Rejected, 401, part(TextRejected))
	})
}

// TestP10TrialFollowsNobody proves that a trial sends the key to no other
// origin, no matter what the upstream answers.
func TestP10TrialFollowsNobody(t *testing.T) {
	thief := shimtest.NewUpstream(t, shimtest.Options{})
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			u := shimtest.NewUpstream(t, shimtest.Options{})
			u.Break(shimtest.Redirect(status, thief.URL+"?k="+shimtest.DefaultKey))
			k := newTester(t)
			tg := target(t, u, endpoint.DefaultHeader)
			check(t, k.TryHeaders(t.Context(), *tg, endpoint.UsualHeaders), Redirect, 0, thief.Origin)
			if rejected, err := k.Client.Probe(t.Context(), *tg); rejected || err == nil {
				t.Errorf("probe: rejected %t, %v; want an error", rejected, err)
			}
			if n := len(thief.Requests()); n != 0 {
				t.Errorf("the other origin got %d requests, want none", n)
			}
		})
	}
}

func TestS03TrialOfForeignEndpoint(t *testing.T) {
	thief := shimtest.NewUpstream(t, shimtest.Options{})
	tests := []struct {
		name, to string
		outcome  Outcome
		words    string
	}{
		{"other origin", thief.URL, Refused, strings.TrimPrefix(thief.Origin, "http://")},
		{"scheme-relative", strings.TrimPrefix(thief.URL, "http:"), Refused, part(upstream.TextElsewhere)},
		{"other scheme", "https://127.0.0.1/messages", Refused, part(upstream.TextElsewhere)},
		{"not a URL", "http://[::1", Refused, part(upstream.TextElsewhere)},
		{"same origin that does not answer", "/messages", NotMCP, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := shimtest.NewUpstream(t, shimtest.Options{})
			u.Break(shimtest.LegacyEndpoint(tt.to))
			v := newTester(t).Try(t.Context(), *target(t, u, endpoint.DefaultHeader))
			if v.Outcome != tt.outcome || !strings.Contains(v.Words, tt.words) {
				t.Errorf("got %+v, want %s, %q", v, tt.outcome, tt.words)
			}
			if n := len(thief.Requests()); n != 0 {
				t.Errorf("the other origin got %d requests, want none", n)
			}
		})
	}
}

// TestTryQuery proves that a key in the URL reaches the upstream but never our
// messages.
func TestTryQuery(t *testing.T) {
	u := shimtest.NewUpstream(t, shimtest.Options{Query: "apiKey", Key: "query-key-12345"})
	tg := target(t, u, endpoint.DefaultHeader)
	tg.Key = endpoint.Secret{}
	tg.URL.RawQuery = "apiKey=query-key-12345"
	check(t, newTester(t).Try(t.Context(), *tg), Keyless, 200)
	u.Break(func(w http.ResponseWriter, r *http.Request) bool {
		return shimtest.Status(401, "wrong: "+r.URL.RawQuery)(w, r)
	})
	v := newTester(t).Try(t.Context(), *tg)
	check(t, v, Rejected, 401, "[hidden]")
	if strings.Contains(v.Words, "query-key") {
		t.Errorf("the words hold the key: %q", v.Words)
	}
}

// What a trial learns of the half without a key, a later probe need not ask.
func TestTryTellsTheProbe(t *testing.T) {
	for _, tt := range []struct {
		name string
		open []string
		want bool
	}{
		{"asks for the key", nil, true},
		{"asks for it in tools/list", []string{"server/discover", "initialize", "notifications/initialized"}, false},
		{"asks for none", []string{"*"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := shimtest.NewUpstream(t, shimtest.Options{})
			u.OpenTo(tt.open...)
			k := newTester(t)
			tg := target(t, u, endpoint.DefaultHeader)
			k.Try(t.Context(), *tg)
			u.Reset()
			if got := k.Client.Tells(t.Context(), *tg); got != tt.want {
				t.Errorf("Tells = %v, want %v", got, tt.want)
			}
			if n := len(u.Requests()); n != 0 {
				t.Errorf("the upstream was asked %d times, want 0", n)
			}
		})
	}
}
