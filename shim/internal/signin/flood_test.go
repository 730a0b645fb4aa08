package signin

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/changes"
	"github.com/key2oauth/key2oauth/shim/internal/limits"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
)

// A flooded front is a public origin whose requests are handled in memory.
type floodedFront struct {
	*front
	t      *testing.T
	client string
	sender func(n int) string // of the nth browser
	n      int
}

type noTimelines struct{}

func (noTimelines) SaveTimeline(string, []byte, bool)         {}
func (noTimelines) OpenTimelines() (map[string][]byte, error) { return nil, nil }
func (noTimelines) Timeline(string) ([]byte, error)           { return nil, nil }

const callbackURI = "https://claude.ai/api/mcp/auth_callback"

func newFloodedFront(t *testing.T, sender func(n int) string) *floodedFront {
	f := &floodedFront{t: t, sender: sender}
	requests := oauth.NewRequests(nil)
	server := func(issuer string) *oauth.Server {
		return &oauth.Server{
			Issuer: issuer, Clients: &oauth.Clients{Key: [32]byte{1}}, Requests: requests,
			Endpoint: func(string) (string, bool) { return "Weather", true },
		}
	}
	public, local := server("https://public.example"), server("http://127.0.0.1:7450")
	public.From = func(r *http.Request) string { return r.Header.Get("X-From") }
	answer, e := public.Clients.Register([]byte(`{"client_name":"Claude","token_endpoint_auth_method":"none","redirect_uris":["` + callbackURI + `"]}`))
	if e != nil {
		t.Fatal(e)
	}
	f.client, _ = answer["client_id"].(string)
	feed := changes.New()
	own := owner.New(owner.Config{Cookie: "k2o", FormKey: []byte("form")})
	own.Serve(local.Issuer)
	world := timeline.World{Offline: func() bool { return false }, PublicVia: func() string { return timeline.External }, Changed: func() {}}
	signIns := New(Config{
		Requests: requests, Owner: own, Changes: feed, Log: slog.New(slog.DiscardHandler),
		Timeline: timeline.NewRecorder(noTimelines{}, world, slog.New(slog.DiscardHandler)),
		Local:    func() *oauth.Server { return local },
	})
	f.front = &front{signIns, Front{
		Server: public, Limits: limits.NewPublic(), From: public.From, Here: func(*http.Request) bool { return false },
	}}
	return f
}

// A floodBrowser is a browser of a phone, or what behaves like one.
type floodBrowser struct {
	*floodedFront
	from, cookie, id string
	asked            time.Time
	looks            bool // its page loads again, as it says
	next             time.Time
	number           string
	numbers          []string // that it showed, without repetitions
	status           int
}

func (f *floodedFront) newBrowser() *floodBrowser {
	f.n++
	return &floodBrowser{floodedFront: f, from: f.sender(f.n)}
}

func (b *floodBrowser) do(method, path string, body url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body.Encode()))
	r.Header.Set("X-From", b.from)
	r.Header.Set("User-Agent", "Mozilla/5.0 (iPhone)")
	if b.cookie != "" {
		r.AddCookie(&http.Cookie{Name: cookieName, Value: b.cookie})
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.Server.Issuer)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	r.SetPathValue("id", b.id)
	h := b.serveAuthorize
	switch {
	case method == "POST":
		h = b.serveAsk
	case b.id != "":
		h = b.serveWait
	}
	w := httptest.NewRecorder()
	if err := h(w, r); err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	for _, c := range w.Result().Cookies() {
		b.cookie = c.Value
	}
	b.status = w.Code
	return w
}

var (
	askForm    = regexp.MustCompile(`action="/authorize/([^"]*)"[^>]*><input type="hidden" name="form_token" value="([^"]*)"`)
	waitNumber = regexp.MustCompile(`<p class="big number mt">.*</span>([0-9]{2})</p>`)
	waitEvery  = regexp.MustCompile(`http-equiv="refresh" content="([0-9]+);`)
)

// ask begins a sign-in and asks the owner. It reports whether that was let
// through.
func (b *floodBrowser) ask() bool {
	q := url.Values{"client_id": {b.client}, "redirect_uri": {callbackURI}, "response_type": {"code"}, "code_challenge_method": {"S256"},
		"code_challenge": {strings.Repeat("c", 43)}, "state": {fmt.Sprint(b.n)}}
	m := askForm.FindStringSubmatch(b.do("GET", "/authorize?"+q.Encode(), nil).Body.String())
	if m == nil {
		return false
	}
	b.id = m[1]
	b.do("POST", "/authorize/"+b.id, url.Values{"form_token": {m[2]}})
	b.asked = time.Now()
	return b.status == http.StatusSeeOther
}

// look loads the page that waits.
func (b *floodBrowser) look() {
	page := b.do("GET", "/authorize/"+b.id, nil).Body.String()
	b.number = ""
	if m := waitNumber.FindStringSubmatch(page); m != nil {
		if b.number = m[1]; len(b.numbers) == 0 || b.numbers[len(b.numbers)-1] != b.number {
			b.numbers = append(b.numbers, b.number)
		}
	}
	b.next = time.Time{}
	if m := waitEvery.FindStringSubmatch(page); m != nil && b.looks {
		every, _ := time.ParseDuration(m[1] + "s")
		b.next = time.Now().Add(every)
	}
}

// A flood is what strangers do with each of their browsers.
type flood struct {
	name   string
	sender func(n int) string
	loads  bool // the page that shows the number, once
	stays  bool // that page stays open
}

// TestFloodOfAsks: with 60 new requests a second, a phone that waited
// before keeps its number, also if it is locked and its page does not load again,
// and one that comes in the middle gets one within seconds and keeps it. Where
// the strangers' pages stay open as well, nothing tells them from phones: one that
// comes then has to wait until theirs are closed, and those before it keep theirs.
func TestFloodOfAsks(t *testing.T) {
	unknown := func(int) string { return limits.Unknown }
	another := func(n int) string { return fmt.Sprintf("203.0.%d.%d", n/256%256, n%256) }
	for _, fl := range []flood{
		{name: "unknown senders", sender: unknown},
		{name: "unknown senders that load the page", sender: unknown, loads: true},
		{name: "unknown senders whose pages stay open", sender: unknown, loads: true, stays: true},
		{name: "a new sender each", sender: another, loads: true},
	} {
		t.Run(fl.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testFlood(t, fl) })
		})
	}
}

func testFlood(t *testing.T, fl flood) {
	f := newFloodedFront(t, fl.sender)
	early, locked, late := f.newBrowser(), f.newBrowser(), f.newBrowser()
	early.looks, late.looks = true, true
	for _, b := range []*floodBrowser{early, locked} {
		if !b.ask() {
			t.Fatal("refused before the flood")
		}
		b.look()
	}
	time.Sleep(3 * time.Second)
	locked.look()
	early.look()
	const rate, lasts, comes = 60, 15 * time.Second, 5 * time.Second
	var open []*floodBrowser // strangers whose pages are open
	phones := []*floodBrowser{early}
	tick := func(strangers bool) {
		time.Sleep(time.Second / rate)
		if strangers {
			b := f.newBrowser()
			b.looks = fl.stays
			if b.ask() && fl.loads {
				b.look()
			}
			if !b.next.IsZero() {
				open = append(open, b)
			}
		}
		now := time.Now()
		for _, b := range slices.Concat(phones, open) {
			if !b.next.IsZero() && !now.Before(b.next) {
				b.look()
			}
		}
		open = slices.DeleteFunc(open, func(b *floodBrowser) bool { return b.next.IsZero() })
		if n := len(f.visits.all); n > maxVisits {
			t.Fatalf("%d visits are kept, at most %d may", n, maxVisits)
		}
	}
	begin := time.Now()
	for time.Since(begin) < lasts {
		tick(true)
		if at := time.Since(begin); late.id == "" && at >= comes {
			if !late.ask() {
				t.Fatalf("the phone in the middle of the flood is refused (%d)", late.status)
			}
			late.look()
			phones = append(phones, late)
		}
		if late.id != "" && late.number == "" && time.Since(late.asked) > 4*time.Second && !fl.stays {
			t.Fatalf("the phone in the middle shows no number %v after it asked", time.Since(late.asked))
		}
	}
	if fl.stays {
		if late.number != "" || late.status == http.StatusTooManyRequests {
			t.Errorf("the phone in the middle: %d with number %q, want it to wait or to be over", late.status, late.number)
		}
		// Strangers hold what they got until their pages no longer load.
		time.Sleep(tenure)
		if late = f.newBrowser(); !late.ask() {
			t.Fatalf("a phone is refused after the flood (%d)", late.status)
		}
		late.look()
	}
	locked.look()
	early.look()
	for name, b := range map[string]*floodBrowser{"before the flood": early, "before the flood, and was locked": locked, "in the middle": late} {
		t.Logf("the phone that came %s showed %q", name, b.numbers)
		if b.status != http.StatusOK || b.number == "" || b != late && len(b.numbers) != 1 || len(b.numbers) > 2 {
			t.Errorf("the phone that came %s: %d with number %q after %q", name, b.status, b.number, b.numbers)
			continue
		}
		var n int
		fmt.Sscan(b.number, &n)
		if id, ok := f.visits.tell(n); !ok || id != b.id {
			t.Errorf("the number of the phone that came %s leads to %q", name, id)
		}
	}
	f.visits.change(early.id, func(v *visit) {
		v.outcome, v.back = outcomeAnswered, clientRedirect{req: &oauth.Request{RedirectURI: callbackURI}, location: callbackURI + "?code=x"}
	})
	f.cfg.Requests.Take(early.id)
	for i := range 2 * maxVisits {
		f.visits.add(fmt.Sprint("another ", i), visit{})
	}
	if early.look(); early.status != http.StatusSeeOther {
		t.Errorf("the phone that was approved before more requests came = %d, want its answer", early.status)
	}
	time.Sleep(oauth.RequestTTL + time.Minute) // lets timers end
}
