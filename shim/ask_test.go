package shim_test

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tunnel"
)

// A phone is a browser on another device that asks the owner.
type phone struct {
	*shimtest.Browser
	client *shimtest.OAuthClient
	id     string
	number string
}

var numberText = regexp.MustCompile(`<p class="big number mt">.*</span>([0-9]{2})</p>`)

// ask asks the owner for a client that gets its answer at redirect.
func (p *program) ask(from, redirect, mcpURL string) *phone {
	p.t.Helper()
	ph := &phone{Browser: p.farBrowser(from), client: p.farClient(redirect, mcpURL)}
	page := ph.Open(ph.client.AuthorizeURL())
	ph.id = strings.TrimPrefix(continueLink(p.t, p, page), p.origin+"/consent/")
	wait := ph.Submit(ph.Form(page, "/authorize/"+ph.id), nil)
	m := numberText.FindStringSubmatch(wait.Body)
	if m == nil {
		p.t.Fatalf("the waiting page (%d) shows no number:\n%s", wait.Status, wait.Body)
	}
	if !strings.Contains(wait.Body, `http-equiv="refresh" content="3;`) {
		p.t.Error("the waiting page does not reload automatically")
	}
	ph.number = m[1]
	return ph
}

// look loads the waiting page again.
func (ph *phone) look() *shimtest.Page { return ph.Open("/authorize/" + ph.id) }

// review types the number and returns the page that it leads to.
func (ph *phone) review(owner *shimtest.Browser) *shimtest.Page {
	page := owner.Open("/consent/" + ph.id)
	return owner.Submit(owner.Form(page, "/consent/"+ph.id), map[string]string{"number": ph.number})
}

func (ph *phone) wrongNumber() string {
	n, _ := strconv.Atoi(ph.number)
	return strconv.Itoa(10 + (n-10+1)%90)
}

// TestL10Number signs in from a phone: the owner types the number from the
// phone on the owner's computer, and only then does the phone continue.
func TestL10Number(t *testing.T) {
	p := startPublic(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, mcpURL := p.add(up.URL, map[string]any{"api_key": up.Key()})
	ph := p.ask(farAddr, "https://claude.ai/api/mcp/auth_callback", mcpURL)
	if page := ph.look(); page.Location != "" || !strings.Contains(page.Body, ph.number) {
		t.Fatalf("the waiting page = %d %q, want the same number", page.Status, page.Location)
	}

	// Only the owner may even see the page, with or without the number.
	stranger := p.browser()
	if page := stranger.Open("/consent/" + ph.id); page.Status != http.StatusUnauthorized || len(page.Forms) > 0 {
		t.Errorf("without the owner's session = %d, want 401 and no form", page.Status)
	}
	forged := stranger.FormRequest(shimtest.Form{Action: "/consent/" + ph.id}, map[string]string{"api_key": up.Key(), "number": ph.number, "action": "approve"})
	if page := stranger.Do(forged); page.Status != http.StatusUnauthorized || page.Location != "" {
		t.Errorf("a forged form with the number = %d %q, want 401", page.Status, page.Location)
	}

	pending := p.shim.Status().Pending
	if len(pending) != 1 || !pending[0].Asked || pending[0].RedirectHost != "claude.ai" {
		t.Fatalf("status lists %+v, want the request that waits", pending)
	}
	owner := p.owner()
	if home := owner.Open("/").Body; strings.Count(home, web.Text("home.asked")) != 1 || strings.Contains(home, ">"+ph.number+"<") {
		t.Errorf("the home page does not highlight the request, or shows the number:\n%s", home)
	}
	page := owner.Open(pending[0].URL)
	form := owner.Form(page, "/consent/"+ph.id)
	if !form.Has("number") || strings.Contains(page.Body, ">"+ph.number+"<") {
		t.Fatalf("the page has no field for the number, or shows it:\n%s", page.Body)
	}
	if strings.Contains(page.Body, "claude.ai") || strings.Contains(page.Body, "Weather") || form.Has("credential") {
		t.Errorf("the page shows the request before the number was typed:\n%s", page.Body)
	}
	for _, typed := range []string{"", "7", "abc", "4 7", "047"} {
		page = owner.Submit(form, map[string]string{"api_key": up.Key(), "number": typed, "confirmed": "1", "action": "approve"})
		if page.Status != http.StatusUnprocessableEntity || !owner.Form(page, "/consent/"+ph.id).Has("number") {
			t.Fatalf("number %q = %d, want the page again", typed, page.Status)
		}
	}
	page = owner.Submit(form, map[string]string{"number": ph.number})
	form = owner.Form(page, "/consent/"+ph.id)
	if page.Status != http.StatusOK || form.Has("number") || !strings.Contains(page.Body, web.Text("consent.number.ok")) {
		t.Fatalf("the right number leads to %s (%d)", page.URL, page.Status)
	}
	var credential string
	for _, f := range form.Fields {
		if f.Name == "credential" && f.Value != "new" {
			credential = f.Value
		}
	}
	// After a wrong key nothing is lost, and the number need not be typed
	// again.
	page = owner.Submit(form, map[string]string{"credential": "new", "api_key": "wrong", "confirmed": "1", "action": "approve"})
	if form = owner.Form(page, "/consent/"+ph.id); form.Has("number") {
		t.Error("the right number must be typed again after a wrong key")
	}
	done := owner.Submit(form, map[string]string{"credential": credential, "confirmed": "1", "action": "approve"})
	if done.Status != http.StatusOK || done.Location != "" || strings.Contains(done.Body, "code=") {
		t.Fatalf("Approve = %d %q, want a page without the code", done.Status, done.Location)
	}

	// A second browser gets no code, whether it has no cookies or a different
	// one.
	second := p.farBrowser(farAddr)
	for range 2 {
		if page := second.Open("/authorize/" + ph.id); page.Location != "" || page.Status != http.StatusForbidden {
			t.Errorf("A18 a second browser on the waiting page = %d %q", page.Status, page.Location)
		}
		second.Open(ph.client.AuthorizeURL()) // now it has a cookie
	}
	back := ph.look()
	if back.Status != http.StatusSeeOther {
		t.Fatalf("the phone = %d, want 303\n%s", back.Status, back.Body)
	}
	if status, body := ph.client.Redeem(ph.client.CodeFrom(back.Location)); status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, body)
	}
	if resp, body := p.farPost(slug, ph.client.Access, initialize); resp.StatusCode != http.StatusOK {
		t.Errorf("a call = %d %s", resp.StatusCode, body)
	}
	if n := len(p.shim.Status().Pending); n != 0 {
		t.Errorf("%d requests wait after all was answered", n)
	}
}

// TestWaitingPageOverTime: the waiting page reloads less and less often, since
// each request may cost the tunnel's owner money. It says when its time is
// over.
func TestWaitingPageOverTime(t *testing.T) {
	p := startPublic(t)
	_, mcpURL := p.add("http://127.0.0.1:1/mcp", nil)
	ph := p.ask(farAddr, "https://claude.ai/api/mcp/auth_callback", mcpURL)
	for _, tt := range []struct {
		passed time.Duration
		every  string // "" if the page does not reload automatically
		status int
	}{
		{50 * time.Second, "3", http.StatusOK},
		{20 * time.Second, "15", http.StatusOK},
		{3 * time.Minute, "15", http.StatusOK},
		{time.Minute, "", http.StatusOK},
		{9 * time.Minute, "", http.StatusOK},
		{time.Minute, "", http.StatusGone},
	} {
		p.shim.AgeVisits(tt.passed)
		page := ph.look()
		every := ""
		if _, rest, ok := strings.Cut(page.Body, `http-equiv="refresh" content="`); ok {
			every, _, _ = strings.Cut(rest, ";")
		}
		if page.Status != tt.status || every != tt.every {
			t.Errorf("%v later: %d, looks again every %q s; want %d and %q", tt.passed, page.Status, every, tt.status, tt.every)
		}
		if has := strings.Contains(page.Body, web.Text("waiting.check")); has != (tt.status == http.StatusOK) {
			t.Errorf("%v later: offers to check again: %v", tt.passed, has)
		}
	}
}

func TestL10WrongNumberEnds(t *testing.T) {
	p := startPublic(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	_, mcpURL := p.add(up.URL, nil)
	ph := p.ask(farAddr, "https://claude.ai/api/mcp/auth_callback", mcpURL)
	owner := p.owner()
	page := owner.Open("/consent/" + ph.id)
	form := owner.Form(page, "/consent/"+ph.id)
	answer := map[string]string{"api_key": up.Key(), "number": ph.wrongNumber(), "action": "approve"}
	if page := owner.Submit(form, answer); page.Status != http.StatusForbidden || page.Location != "" {
		t.Fatalf("a wrong number = %d %q, want 403", page.Status, page.Location)
	}
	answer["number"] = ph.number
	if page := owner.Submit(form, answer); page.Status != http.StatusGone {
		t.Errorf("the right number after a wrong one = %d, want 410", page.Status)
	}
	if page := ph.look(); page.Location != "" || !strings.Contains(page.Body, web.MessageWrongNumber.Title) {
		t.Errorf("the phone = %d %q, want to be told", page.Status, page.Location)
	}
	if status, out := p.api("GET", "/api/grants", nil); status != http.StatusOK || len(out["grants"].([]any)) != 0 {
		t.Errorf("grants %v, want none", out)
	}
}

// TestNumberChooses: the number chooses among the requests that wait, whichever
// of them the page was opened for, and one that fits none ends them all.
func TestNumberChooses(t *testing.T) {
	p := startPublic(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	_, mcpURL := p.add(up.URL, map[string]any{"api_key": up.Key()})
	const redirect = "https://claude.ai/api/mcp/auth_callback"
	stranger, mine := p.ask("192.0.2.1", redirect, mcpURL), p.ask(farAddr, redirect, mcpURL)
	if stranger.number == mine.number {
		t.Errorf("both show %s", mine.number)
	}
	owner := p.owner()
	// A link to the stranger's request, and the number of the owner's own.
	page := owner.Open("/consent/" + stranger.id)
	page = owner.Submit(owner.Form(page, "/consent/"+stranger.id), map[string]string{"number": mine.number})
	if page.URL.Path != "/consent/"+mine.id {
		t.Fatalf("the number leads to %s, want the request that shows it", page.URL)
	}
	owner.Submit(owner.Form(page, page.URL.Path), map[string]string{"credential": "new", "api_key": up.Key(), "confirmed": "1", "action": "approve"})
	mine.client.CodeFrom(redirectOf(t, mine.look()))
	if page := stranger.look(); page.Location != "" || !strings.Contains(page.Body, stranger.number) {
		t.Errorf("the other request = %d %q, want it to wait on", page.Status, page.Location)
	}

	other := p.ask("192.0.2.2", redirect, mcpURL)
	page = owner.Open("/consent/" + other.id)
	number := 10
	for fmt.Sprint(number) == stranger.number || fmt.Sprint(number) == other.number {
		number++
	}
	if page = owner.Submit(owner.Form(page, "/consent/"+other.id), map[string]string{"number": fmt.Sprint(number)}); page.Status != http.StatusForbidden {
		t.Errorf("a number that fits none = %d, want 403", page.Status)
	}
	for _, ph := range []*phone{stranger, other} {
		if page := ph.look(); page.Status != http.StatusGone || !strings.Contains(page.Body, web.MessageWrongNumber.Title) {
			t.Errorf("a request that waited = %d, want it to be over", page.Status)
		}
	}
	if n := len(p.shim.Status().Pending); n != 0 {
		t.Errorf("%d requests wait", n)
	}

	t.Run("deny all", func(t *testing.T) {
		all := []*phone{p.ask("192.0.2.3", redirect, mcpURL), p.ask("192.0.2.4", redirect, mcpURL)}
		page := owner.Open("/consent/" + all[0].id)
		owner.Submit(owner.Form(page, "/consent/"+all[0].id), map[string]string{"action": "deny"})
		for _, ph := range all {
			if page := ph.look(); !strings.Contains(page.Location, "error=access_denied") {
				t.Errorf("a request that waited = %d %q, want access_denied", page.Status, page.Location)
			}
		}
	})
	t.Run("a retry replaces the first try of the same browser", func(t *testing.T) {
		first := p.ask("192.0.2.5", redirect, mcpURL)
		again := p.farClient(redirect, mcpURL)
		page := first.Open(again.AuthorizeURL())
		id := strings.TrimPrefix(continueLink(t, p, page), p.origin+"/consent/")
		first.Submit(first.Form(page, "/authorize/"+id), nil)
		pending := p.shim.Status().Pending
		if len(pending) != 1 || !strings.HasSuffix(pending[0].URL, id) {
			t.Errorf("status lists %+v, want the second try alone", pending)
		}
		if page := first.look(); page.Status != http.StatusGone {
			t.Errorf("the first try = %d, want 410", page.Status)
		}
	})
}

// TestPhishedOwner: a stranger starts a sign-in, asks, and tricks the owner
// into opening the page on the owner's own computer and approving it. The
// stranger still gets no code.
func TestPhishedOwner(t *testing.T) {
	p := startPublic(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	_, mcpURL := p.add(up.URL, map[string]any{"api_key": up.Key()})

	t.Run("by the link to this computer", func(t *testing.T) {
		c := p.farClient("http://localhost:3118/callback", mcpURL)
		stranger := p.farBrowser(farAddr)
		link := continueLink(t, p, stranger.Open(c.AuthorizeURL()))
		id := strings.TrimPrefix(link, p.origin+"/consent/")
		victim := p.browser()
		page := victim.Open(link)
		done := victim.Submit(victim.Form(page, "/consent/"+id), map[string]string{"api_key": up.Key(), "action": "approve"})
		code := c.CodeFrom(done.Location) // in the victim's own browser
		if page := stranger.Open("/authorize/" + id); page.Location != "" || strings.Contains(page.Body, code) {
			t.Errorf("the stranger gets %d %q", page.Status, page.Location)
		}
		if page := stranger.Open(c.AuthorizeURL()); page.Location != "" || strings.Contains(page.Body, code) {
			t.Errorf("the stranger, coming again, gets %d %q", page.Status, page.Location)
		}
	})
	t.Run("by asking, without the number", func(t *testing.T) {
		ph := p.ask(farAddr, "https://claude.ai/api/mcp/auth_callback", mcpURL)
		owner := p.owner()
		page := owner.Open("/consent/" + ph.id)
		done := owner.Submit(owner.Form(page, "/consent/"+ph.id), map[string]string{"api_key": up.Key(), "credential": "new", "action": "approve"})
		if done.Status != http.StatusUnprocessableEntity || done.Location != "" {
			t.Errorf("Approve without the number = %d %q", done.Status, done.Location)
		}
		if page := ph.look(); page.Location != "" {
			t.Errorf("the stranger gets %q", page.Location)
		}
	})
	t.Run("by asking while the owner has the page open", func(t *testing.T) {
		c := p.farClient("http://localhost:3118/callback", mcpURL)
		stranger := p.farBrowser("192.0.2.1")
		first := stranger.Open(c.AuthorizeURL())
		id := strings.TrimPrefix(continueLink(t, p, first), p.origin+"/consent/")
		owner := p.owner()
		form := owner.Form(owner.Open("/consent/"+id), "/consent/"+id)
		stranger.Submit(stranger.Form(first, "/authorize/"+id), nil)
		done := owner.Submit(form, map[string]string{"api_key": up.Key(), "credential": "new", "action": "approve"})
		if done.Location != "" || done.Status != http.StatusUnprocessableEntity {
			t.Errorf("Approve of a request that has meanwhile asked = %d %q, want the number to be asked for", done.Status, done.Location)
		}
		if page := stranger.Open("/authorize/" + id); page.Location != "" {
			t.Errorf("the stranger gets %q", page.Location)
		}
	})
}

// TestAnswerToAnotherDevice: with any redirect, a request from another
// device is never told as one of this computer, and is approved only by an owner
// who confirms holding that device. The same words stand wherever the request
// and the app are listed.
func TestAnswerToAnotherDevice(t *testing.T) {
	for _, tt := range []struct{ name, redirect, returns, shown string }{
		{"loopback", "http://localhost:3118/callback", "an app on the other device", "An app on the other device"},
		{"custom scheme", "cursor://anysphere.cursor-mcp/oauth/callback", "an app on the other device (a link that starts with cursor:)", "An app on the other device"},
		{"known website", "https://claude.ai/api/mcp/auth_callback", "claude.ai on the other device", "claude.<wbr>ai"},
		{"unknown website", "https://new.example/callback", "new.example on the other device", "new.<wbr>example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := startPublic(t)
			up := shimtest.NewUpstream(t, shimtest.Options{})
			slug, mcpURL := p.add(up.URL, map[string]any{"api_key": up.Key()})
			ph := p.ask(farAddr, tt.redirect, mcpURL)
			if q := p.shim.Status().Pending; len(q) != 1 || q[0].ReturnsTo != tt.returns || !q[0].Asked {
				t.Errorf("status lists %+v, want one that returns to %s", q, tt.returns)
			}
			owner := p.owner()
			if home := owner.Open("/").Body; !strings.Contains(home, web.Text("home.pending.to", tt.returns)) || !strings.Contains(home, web.Text("home.pending.device.1", "Weather")) {
				t.Errorf("the Servers page does not say that another device asks:\n%s", home)
			}
			page := ph.review(owner)
			main, _, _ := strings.Cut(page.Body, "</main>")
			for _, want := range []string{tt.shown, "that device", web.Text("consent.h1.device", "Weather")} {
				if !strings.Contains(main, want) {
					t.Errorf("the page does not say %q:\n%s", want, main)
				}
			}
			for _, wrong := range []string{"this computer</p>", "An app on this computer", web.Text("consent.loopback"), web.Text("consent.known"), ">cursor:", "localhost"} {
				if strings.Contains(main, wrong) {
					t.Errorf("the page says %q:\n%s", wrong, main)
				}
			}
			form := owner.Form(page, "/consent/"+ph.id)
			answer := map[string]string{"api_key": up.Key(), "credential": "new", "action": "approve"}
			for _, box := range []string{"", "unset"} {
				if box == "" {
					answer["confirmed"] = ""
				} else {
					delete(answer, "confirmed")
				}
				if page = owner.Submit(form, answer); page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, web.TextSayYouPressed) {
					t.Fatalf("Approve with the number and without the box = %d", page.Status)
				}
			}
			form = owner.Form(page, "/consent/"+ph.id)
			if page := ph.look(); page.Location != "" {
				t.Fatalf("the other device gets %q", page.Location)
			}
			answer["confirmed"] = "1"
			if done := owner.Submit(form, answer); done.Status != http.StatusOK || done.Location != "" {
				t.Fatalf("Approve = %d %q", done.Status, done.Location)
			}
			ph.client.CodeFrom(redirectOf(t, ph.look()))
			_, out := p.api("GET", "/api/grants", nil)
			g := out["grants"].([]any)[0].(map[string]any)
			if g["returns_to"] != tt.returns || g["slug"] != slug {
				t.Errorf("the grant is listed as %v, want that it returned to %s", g, tt.returns)
			}
			if home := owner.Open("/servers/" + slug).Body; !strings.Contains(home, web.Text("home.pending.to", tt.returns)) {
				t.Errorf("the server's page does not say where the app is:\n%s", home)
			}

			// An approval for another device is none for this one, or for the next.
			again := p.ask(farAddr, tt.redirect, mcpURL)
			page = again.review(owner)
			if strings.Contains(page.Body, web.Text("consent.known")) || !owner.Form(page, "/consent/"+again.id).Has("confirmed") {
				t.Error("the next request is taken for known")
			}
		})
	}
}

var backLink = regexp.MustCompile(`class="btn(?: p)?" href="([^"]*)" rel="noreferrer"`)

// redirectOf returns where a page leads, by redirect or by its link.
func redirectOf(t *testing.T, page *shimtest.Page) string {
	t.Helper()
	if page.Location != "" {
		return page.Location
	}
	m := backLink.FindStringSubmatch(page.Body)
	if m == nil {
		t.Fatalf("page %d leads nowhere:\n%s", page.Status, page.Body)
	}
	return html.UnescapeString(m[1])
}

func TestDenyAcross(t *testing.T) {
	p := startPublic(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	_, mcpURL := p.add(up.URL, nil)
	ph := p.ask(farAddr, "https://claude.ai/api/mcp/auth_callback", mcpURL)
	owner := p.owner()
	page := owner.Open("/consent/" + ph.id)
	done := owner.Submit(owner.Form(page, "/consent/"+ph.id), map[string]string{"action": "deny"})
	if done.Status != http.StatusOK || done.Location != "" {
		t.Errorf("Deny = %d %q, want a page", done.Status, done.Location)
	}
	back := ph.look()
	if !strings.Contains(back.Location, "error=access_denied") || !strings.Contains(back.Location, "state="+ph.client.State) {
		t.Errorf("the phone goes to %q, want access_denied with its state", back.Location)
	}
}

// prompts records what the owner is told.
type prompts struct {
	mu  sync.Mutex
	all []api.Prompt
}

func (p *prompts) Prompt(q api.Prompt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, q)
}

func (p *prompts) list() []api.Prompt {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]api.Prompt(nil), p.all...)
}

// TestL09Prompts: a hundred requests raise one prompt, and only a few of them
// wait: those that came first, and the newest. The others are told to wait for
// their turn.
func TestL09Prompts(t *testing.T) {
	told := new(prompts)
	p := startConfig(t, shim.Config{Dir: t.TempDir(), Prompter: told,
		Tunnel: shim.TunnelConfig{Mode: api.TunnelNgrok, Authtoken: tunnel.NewAuthtoken("t")}}, "127.0.0.1:0")
	p.waitOnline()
	_, mcpURL := p.add("http://127.0.0.1:1/mcp", nil)
	c := p.farClient("https://claude.ai/api/mcp/auth_callback", mcpURL)
	var all []*shimtest.Browser
	var ids []string
	for i := range 100 {
		b := p.farBrowser(fmt.Sprintf("192.0.2.%d", i/5))
		page := b.Open(c.AuthorizeURL())
		id := strings.TrimPrefix(continueLink(t, p, page), p.origin+"/consent/")
		if page := b.Submit(b.Form(page, "/authorize/"+id), nil); !numberText.MatchString(page.Body) {
			t.Fatalf("ask = %d\n%s", page.Status, page.Body)
		}
		all, ids = append(all, b), append(ids, id)
	}
	pending := p.shim.Status().Pending
	if n := len(pending); n != 5 || pending[0].URL != p.origin+"/consent/"+ids[0] || pending[n-1].URL != p.origin+"/consent/"+ids[99] {
		t.Errorf("%d requests wait, from %s to %s, want 5 with the first and the newest", n, pending[0].URL, pending[n-1].URL)
	}
	if page := all[0].Open("/authorize/" + ids[0]); page.Status != http.StatusOK || !numberText.MatchString(page.Body) {
		t.Errorf("the browser of the first request sees %d\n%s", page.Status, page.Body)
	}
	// Even the owner sees nothing of one that is in line.
	if page := p.owner().Open("/consent/" + ids[50]); page.Status != http.StatusOK || !p.browser().Form(page, "/consent/"+ids[50]).Has("number") {
		t.Errorf("the owner's page of a request in line = %d, want to be asked for a number", page.Status)
	}
	if all := told.list(); len(all) != 1 || !strings.HasPrefix(all[0].Path, "/consent/") {
		t.Errorf("the owner was told %+v, want one prompt", all)
	}
	owner := p.owner()
	page := owner.Open(p.shim.Status().Pending[0].URL)
	owner.Submit(owner.Form(page, page.URL.Path), map[string]string{"action": "deny"}) // all of them
	if all := told.list(); len(all) != 2 || all[1] != (api.Prompt{}) {
		t.Errorf("after all were answered the owner was told %+v, want the prompt withdrawn", all)
	}
	p.ask("192.0.2.200", "https://claude.ai/api/mcp/auth_callback", mcpURL)
	if all := told.list(); len(all) != 3 {
		t.Errorf("a new request raised %d prompts, want one more", len(all)-2)
	}
}

// TestAskInLine: a request for which there is no place is in line, and its page
// shows a number once there is one.
func TestAskInLine(t *testing.T) {
	p := startPublic(t)
	_, mcpURL := p.add("http://127.0.0.1:1/mcp", nil)
	const redirect = "https://claude.ai/api/mcp/auth_callback"
	var all []*phone
	for i := range 5 {
		all = append(all, p.ask(fmt.Sprintf("192.0.2.%d", i), redirect, mcpURL))
	}
	p.shim.AgeVisits(3 * time.Second)
	for _, ph := range all {
		ph.look()
	}
	late := &phone{Browser: p.farBrowser(farAddr), client: p.farClient(redirect, mcpURL)}
	page := late.Open(late.client.AuthorizeURL())
	late.id = strings.TrimPrefix(continueLink(t, p, page), p.origin+"/consent/")
	page = late.Submit(late.Form(page, "/authorize/"+late.id), nil)
	inLine := func(page *shimtest.Page) bool {
		return page.Status == http.StatusOK && strings.Contains(page.Body, web.Text("waiting.line.h1")) && !numberText.MatchString(page.Body)
	}
	if !inLine(page) || !strings.Contains(page.Body, `http-equiv="refresh" content="3;`) {
		t.Fatalf("the sixth phone = %d, want to be told to wait\n%s", page.Status, page.Body)
	}
	if n := len(p.shim.Status().Pending); n != 5 {
		t.Errorf("%d requests wait for the owner, want 5", n)
	}
	p.shim.AgeVisits(3 * time.Second)
	if page := late.look(); !inLine(page) {
		t.Errorf("the sixth phone = %d, though all others stayed", page.Status)
	}
	p.shim.AgeVisits(5 * time.Minute)
	for _, ph := range all[:4] {
		ph.look()
	}
	if page := late.look(); !numberText.MatchString(page.Body) {
		t.Errorf("the sixth phone = %d, want a number\n%s", page.Status, page.Body)
	}
	if page := all[4].look(); !inLine(page) {
		t.Errorf("the phone that made room = %d, want to be told to wait", page.Status)
	}
	for _, ph := range all[:4] {
		if page := ph.look(); !strings.Contains(page.Body, ph.number) {
			t.Errorf("a phone that waits = %d, want its number", page.Status)
		}
	}
}

// TestAskGuards: only the page itself can ask the owner.
func TestAskGuards(t *testing.T) {
	p := startPublic(t)
	_, mcpURL := p.add("http://127.0.0.1:1/mcp", nil)
	c := p.farClient("https://claude.ai/api/mcp/auth_callback", mcpURL)
	b := p.farBrowser(farAddr)
	page := b.Open(c.AuthorizeURL())
	id := strings.TrimPrefix(continueLink(t, p, page), p.origin+"/consent/")
	form := b.Form(page, "/authorize/"+id)
	asked := func() bool { return len(p.shim.Status().Pending) > 0 }
	for _, tt := range []struct {
		name   string
		change func(r *http.Request) *http.Request
	}{
		{"A11 from another site", func(r *http.Request) *http.Request {
			r.Header.Set("Origin", "https://evil.example")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			return r
		}},
		{"A11 from no page", func(r *http.Request) *http.Request {
			r.Header.Del("Origin")
			r.Header.Del("Sec-Fetch-Site")
			return r
		}},
		{"A11 without the form token", func(*http.Request) *http.Request {
			return b.FormRequest(shimtest.Form{Action: "/authorize/" + id}, nil)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if page := b.Do(tt.change(b.FormRequest(form, nil))); page.Status != http.StatusForbidden || asked() {
				t.Errorf("got %d, asked: %v; want 403 and no question", page.Status, asked())
			}
		})
	}
	t.Run("by another browser", func(t *testing.T) {
		other := p.farBrowser(farAddr)
		other.Open(c.AuthorizeURL())
		if page := other.Submit(form, nil); page.Status != http.StatusForbidden || asked() {
			t.Errorf("got %d, asked: %v; want 403 and no question", page.Status, asked())
		}
	})
	t.Run("a request that is long over", func(t *testing.T) {
		for _, b := range []*shimtest.Browser{b, p.farBrowser(farAddr)} {
			page := b.Open("/authorize/" + strings.Repeat("A", len(id)))
			if page.Status != http.StatusGone || !strings.Contains(page.Body, web.TitleRequestOver) {
				t.Errorf("got %d, want 410 and words that say so", page.Status)
			}
			if page = b.Submit(shimtest.Form{Action: "/authorize/" + strings.Repeat("A", len(id))}, nil); page.Status != http.StatusGone || asked() {
				t.Errorf("its form: got %d, want 410", page.Status)
			}
		}
	})
	t.Run("A12 A17 A20 headers of the public pages", func(t *testing.T) {
		h := page.Header
		if h.Get("X-Frame-Options") != "DENY" || h.Get("Cross-Origin-Opener-Policy") != "" || h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("headers %v", h)
		}
		cookie := h.Get("Set-Cookie")
		for _, want := range []string{"__Host-k2o=", "Path=/", "Secure", "HttpOnly", "SameSite=Lax"} {
			if !strings.Contains(cookie, want) {
				t.Errorf("cookie %q lacks %s", strings.ReplaceAll(cookie, "=", "= "), want)
			}
		}
	})
}

// TestPhonePagesSayWhereItRuns: no page that another device gets says that
// Key2OAuth runs on that device.
func TestPhonePagesSayWhereItRuns(t *testing.T) {
	p := startPublic(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, mcpURL := p.add(up.URL, map[string]any{"api_key": up.Key()})
	const redirect = "com.example.app:/callback" // which gets a page to return by
	owner := p.owner()
	seen := 0
	check := func(name string, page *shimtest.Page) {
		t.Helper()
		if page.Location != "" || page.Body == "" || !strings.Contains(page.Header.Get("Content-Type"), "text/html") {
			return
		}
		seen++
		if strings.Contains(page.Body, ">"+web.Text("footer")+"<") || strings.Contains(page.Body, web.Text("footer")+" ") || !strings.Contains(html.UnescapeString(page.Body), strings.ReplaceAll(web.Text("footer.public"), "'", "\u2019")) {
			t.Errorf("%s (%d) does not say where Key2OAuth runs:\n%s", name, page.Status, page.Body)
		}
	}
	answer := func(ph *phone, form map[string]string) {
		page := ph.review(owner)
		owner.Submit(owner.Form(page, "/consent/"+ph.id), form)
	}
	ph := p.ask(farAddr, redirect, mcpURL)
	check("waiting", ph.look())
	check("another browser", p.farBrowser(farAddr).Open("/authorize/"+ph.id))
	answer(ph, map[string]string{"api_key": up.Key(), "credential": "new", "confirmed": "1", "action": "approve"})
	check("approved", ph.look())
	ph = p.ask(farAddr, redirect, mcpURL)
	answer(ph, map[string]string{"action": "deny"})
	check("denied", ph.look())
	ph = p.ask(farAddr, "https://new.example/cb", mcpURL)
	answer(ph, map[string]string{"action": "deny"})
	check("denied for a website", ph.look())
	ph = p.ask(farAddr, redirect, mcpURL)
	page := owner.Open("/consent/" + ph.id)
	owner.Submit(owner.Form(page, "/consent/"+ph.id), map[string]string{"number": ph.wrongNumber()})
	check("wrong number", ph.look())
	c := p.farClient("https://claude.ai/api/mcp/auth_callback", mcpURL)
	b := p.farBrowser(farAddr)
	check("choice", b.Open(c.AuthorizeURL()))
	check("a wrong request", b.Open(c.AuthorizeURL()+"&response_type=x"))
	check("an unknown client", b.Open("/authorize?client_id=x"))
	check("over", b.Open("/authorize/"+strings.Repeat("A", 26)))
	check("a form without its token", b.Do(b.FormRequest(shimtest.Form{Action: "/authorize/" + ph.id}, nil)))
	for _, path := range []string{"/" + slug + "/mcp", "/" + slug, "/" + slug + "/x", "/authorize/x/y", "/nothing", "/consent/" + ph.id, "/"} {
		check(path, b.Open(path))
	}
	for range 100 {
		page = b.Open(c.AuthorizeURL() + "&x=" + fmt.Sprint(seen))
	}
	check("too many", page)
	if seen < 12 {
		t.Errorf("only %d pages were looked at", seen)
	}
}
