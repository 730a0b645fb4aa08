package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/shim/shimtest/catalogue"
	"github.com/key2oauth/key2oauth/tray"
	"github.com/key2oauth/key2oauth/tray/traytest"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// A menuTest is an owner who uses the tray.
type menuTest struct {
	*desktopApp
	t     *testing.T
	panel *traytest.Watcher
	icon  *traytest.Icon
	notes *traytest.Notifier
	up    *shimtest.Upstream
	e     endpointInfo

	connected int // notifications about connected apps, which stay as long as the app
}

// TestL09DesktopMenu uses the menu as an owner does from day to day, in a
// session with a keychain, a panel and notifications.
func TestL09DesktopMenu(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	d := startDesktopApp(t, desktopSession{})
	m := &menuTest{desktopApp: d, t: t, up: shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})}
	m.notes = d.bus.StartNotifier(t, "actions", "body")
	m.panel = d.bus.StartWatcher(t)
	m.icon = m.panel.Icon(t)
	for _, step := range []struct {
		name string
		do   func(*menuTest, *testing.T)
	}{
		{"first run", (*menuTest).firstRun},
		{"keychain", (*menuTest).keychain},
		{"pause", (*menuTest).pause},
		{"pages", (*menuTest).pages},
		{"stopped", (*menuTest).stopped},
		{"tunnel", (*menuTest).tunnel},
		{"requests", (*menuTest).requests},
		{"approve", (*menuTest).approve},
		{"a hundred requests", (*menuTest).hundred},
		{"key", (*menuTest).key},
		{"revoke", (*menuTest).revoke},
		{"login", (*menuTest).login},
		{"quit", (*menuTest).quit},
	} {
		if !t.Run(step.name, func(t *testing.T) {
			m.desktopApp.app.t, m.t = t, t
			step.do(m, t)
		}) {
			break
		}
	}
	m.desktopApp.app.t = t
}

// firstRun follows the page that opens automatically, and adds a server.
func (m *menuTest) firstRun(t *testing.T) {
	link := m.links.next(t)
	if p := m.browser.SignIn(link); p.URL.Path != "/" || p.Status != http.StatusOK {
		t.Fatalf("the first link leads to %s (%d), want /", p.URL.Path, p.Status)
	}
	m.icon.Click(t, tray.Text("dashboard"))
	m.follow("/")
	m.icon.Click(t, tray.Text("endpoint.add"))
	m.follow("/servers/add")
	m.e = m.addEndpoint("Linear", m.up.URL, m.up.Key())
	m.icon.WaitMenu(t, "the server", has("Linear", tray.Text("used.never")))
}

// keychain checks with another program whether the master key is in the
// keyring.
func (m *menuTest) keychain(t *testing.T) {
	waitKeychain(m.app, "ready")
	cmd := exec.Command(testenv.Need(t, "secret-tool"), "search", "--all", "service", "key2oauth")
	cmd.Env = m.bus.Env()
	out, err := cmd.CombinedOutput()
	if n := strings.Count(string(out), "attribute.service = key2oauth"); err != nil || n != 1 {
		t.Errorf("the keyring has %d items of ours (%v), want the master key", n, err)
	}
}

func (m *menuTest) pause(t *testing.T) {
	m.icon.Click(t, tray.Text("pause"))
	m.waitPaused(true)
	m.icon.WaitMenu(t, "paused", has(tray.Text("status.paused")))
	m.icon.Click(t, tray.Text("resume"))
	m.waitPaused(false)
	m.icon.WaitMenu(t, "no longer paused", has(tray.Text("pause")))
}

// pages opens every menu entry that has a page.
func (m *menuTest) pages(t *testing.T) {
	m.icon.Click(t, "Linear", tray.Text("open"))
	if p := m.follow("/servers/" + m.e.Slug); !strings.Contains(p.Body, m.e.Local) {
		t.Error("the server's page does not show its address")
	}
	m.icon.Click(t, tray.Text("tunnel"))
	m.follow("/tunnel")
	// There is no display, and therefore no clipboard. A page shows the address
	// instead, and says why.
	m.icon.Click(t, "Linear", tray.Text("copy"))
	p := m.follow("/servers/" + m.e.Slug)
	if !strings.Contains(p.Body, m.e.Local) || !strings.Contains(html.UnescapeString(p.Body), shimtest.Notice("copy")) {
		t.Errorf("the page does not show the address %s, or not the reason", m.e.Local)
	}
}

// tunnel opens the tunnel, closes it and opens it again. Then it tries a tunnel
// that does not open.
func (m *menuTest) tunnel(t *testing.T) {
	connected := tray.Text("status.connected.at", tunneltest.DefaultDomain)
	m.api("PUT", "/api/tunnel", map[string]string{"provider": "ngrok", "authtoken": desktopAuthtoken}, nil)
	m.icon.WaitMenu(t, "the tunnel online", has(connected))
	m.icon.Click(t, tray.Text("offline"))
	m.icon.WaitMenu(t, "the tunnel offline", has(tray.Text("status.offline")))
	m.icon.Click(t, tray.Text("online"))
	m.icon.WaitMenu(t, "the tunnel online again", has(connected))

	m.edge.Revoke(desktopAuthtoken)
	m.edge.KillSessions()
	m.note(t, tray.Text("notice.tunnel"))
	menu := m.icon.WaitMenu(t, "what to do about the tunnel", func(i *traytest.Item) bool { return strings.HasSuffix(first(i), tray.Text("status.needs-you", "")) })
	m.icon.Click(t, first(menu))
	m.follow("/tunnel")
	// The link leads to a page that says what is wrong. The menu allows another
	// attempt.
	m.icon.Click(t, tray.Text("offline"))
	m.noNotes(t)
	m.icon.Click(t, tray.Text("online"))
	m.follow("/tunnel")
	m.note(t, tray.Text("notice.tunnel"))
	m.api("PUT", "/api/tunnel", map[string]string{"provider": "ngrok", "authtoken": desktopAuthtoken + "_new"}, nil)
	m.icon.WaitMenu(t, "the tunnel online with a new authtoken", has(connected))
	m.noNotes(t)
}

// stopped lets an app fail to connect. The menu says so in one line, which
// links to the reason, until the app has connected.
func (m *menuTest) stopped(t *testing.T) {
	line := tray.Text("stopped.yours", tray.Text("app"))
	c := oauthClient(t, m.app, "http://127.0.0.1:1/callback", m.e.Local)
	m.browser.Consent(c.AuthorizeURL(), map[string]string{"credential": "new", "api_key": "sk-mistyped", "action": "approve"})
	m.icon.WaitMenu(t, "the app that did not connect", has(line))
	m.icon.Click(t, line)
	why, _ := catalogue.Cause("key rejected", display.Quote("Test client"))
	if page := m.follow("/check"); !strings.Contains(html.UnescapeString(page.Body), why) {
		t.Errorf("the page does not say why:\n%s", page.Body)
	}
	u := m.signIn(t)
	u.mustCall("connected")
	m.newApp(t)
	m.icon.WaitMenu(t, "no app that did not connect", func(i *traytest.Item) bool { return !strings.Contains(i.String(), line) })
}

const desktopAuthtoken = "2desktopmenu_authtoken_of_the_owner"

// A far is a phone somewhere on the internet.
type far struct {
	*shimtest.Browser
	id   string        // of its request
	form shimtest.Form // the form that notifies the owner
}

// phone begins a request on a phone with its own address.
func (m *menuTest) phone(addr string) *far {
	m.t.Helper()
	public := "https://" + tunneltest.DefaultDomain
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	via := m.edge.Client(false)
	via.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, m.edge.Addr())
	}
	c := shimtest.NewOAuthClientVia(m.t, via, public, "https://claude.ai/api/mcp/auth_callback")
	c.Resource = public + "/" + m.e.Slug + "/mcp"
	_, body := c.PostJSON("/register", map[string]any{"client_name": "Claude", "redirect_uris": []string{c.Redirect}, "token_endpoint_auth_method": "none"})
	c.ID, _ = body["client_id"].(string)
	f := &far{Browser: shimtest.NewBrowser(m.t, public)}
	f.HTTP.Transport = via.Transport
	page := f.Open(c.AuthorizeURL())
	for _, form := range page.Forms {
		if id, ok := strings.CutPrefix(form.Action, "/authorize/"); ok {
			f.id, f.form = id, form
		}
	}
	return f
}

var phoneNumber = regexp.MustCompile(`<p class="big number mt">.*</span>([0-9]{2})</p>`)

// ask notifies the owner of the request. The number is "" if too many requests
// wait.
func (f *far) ask(t *testing.T) (number string) {
	t.Helper()
	page := f.Submit(f.form, nil)
	n := phoneNumber.FindStringSubmatch(page.Body)
	switch {
	case n != nil:
		return n[1]
	case page.Status != http.StatusTooManyRequests:
		t.Fatalf("the phone (%d) shows no number:\n%s", page.Status, page.Body)
	}
	return ""
}

// reviewOne begins the item of a single request, before the app's name.
var reviewOne = strings.TrimSuffix(tray.Text("review", ""), "\u2026")

// requests sends requests from phones one at a time, and the owner answers
// each.
func (m *menuTest) requests(t *testing.T) {
	f := m.phone("127.0.2.1")
	number := f.ask(t)
	menu := m.icon.WaitMenu(t, "the request first", func(i *traytest.Item) bool {
		return strings.HasPrefix(first(i), tray.Text("review"))
	})
	note := m.note(t, tray.Text("notice.request"))
	m.links.none(t)
	m.icon.Click(t, first(menu))
	m.follow("/consent/" + f.id)
	m.notes.Click(t, note.ID, "default")
	page := m.follow("/consent/" + f.id)
	form := m.browser.Form(page, "/consent/"+f.id)
	if !form.Has("number") {
		t.Errorf("the page asks for no number:\n%s", page.Body)
	}
	page = m.browser.Submit(form, map[string]string{"number": number})
	form = m.browser.Form(page, "/consent/"+f.id)
	if done := m.browser.Submit(form, map[string]string{"credential": m.saved(), "confirmed": "1", "action": "approve"}); done.Status != http.StatusOK {
		t.Errorf("Approve = %d:\n%s", done.Status, done.Body)
	}
	m.newApp(t)
	m.noNotes(t)
}

// approve opens a request in a browser that is not signed in. The owner is
// notified at once, and one click leads to exactly that request, signed in.
func (m *menuTest) approve(t *testing.T) {
	asks := func(c *shimtest.OAuthClient) (*shimtest.OAuthClient, string) {
		page := shimtest.NewBrowser(t, m.origin).Open(c.AuthorizeURL())
		return c, page.URL.Path
	}
	mine, path := asks(oauthClient(t, m.app, "http://127.0.0.1:1/callback", m.e.Local))
	named := tray.Text("notice.approve", display.Quote("Test client"))
	note := m.note(t, named)
	if want := tray.Text("notice.approve.body.server", "Linear"); note.Body != want {
		t.Errorf("the notification says %q, want %q", note.Body, want)
	}
	_, other := asks(oauthClient(t, m.app, "http://127.0.0.1:1/callback", m.e.Local))
	later := m.note(t, named)
	m.links.none(t)

	m.notes.Click(t, note.ID, "default")
	page := m.follow(path)
	form := m.browser.Form(page, path)
	if !form.Has("credential") {
		t.Errorf("the page offers no saved key, so its browser is not signed in:\n%s", page.Body)
	}
	done := m.browser.Submit(form, map[string]string{"credential": m.saved(), "action": "approve"})
	if status, body := mine.Redeem(mine.CodeFrom(done.Location)); status != http.StatusOK {
		t.Fatalf("the token = %d %v", status, body["error"])
	}
	m.newApp(t)
	m.notes.Click(t, later.ID, "default")
	m.browser.Submit(m.browser.Form(m.follow(other), other), map[string]string{"action": "deny"})
	m.noNotes(t)

	// A person who invents an app for an unknown website chose its name too.
	stranger := oauthClient(t, m.app, "https://stranger.example/callback", m.e.Local)
	_, path = asks(stranger)
	m.note(t, tray.Text("notice.approve.new"))
	m.icon.WaitMenu(t, "the request in the menu", func(i *traytest.Item) bool { return strings.HasPrefix(first(i), tray.Text("review")) })
	m.browser.Submit(m.browser.Form(m.browser.Open(path), path), map[string]string{"action": "deny"})
	m.noNotes(t)
}

// hundred sends requests from a hundred phones. The owner is notified once.
func (m *menuTest) hundred(t *testing.T) {
	const waiting = 5 // each further one pushes out the oldest
	for i := range 100 {
		m.phone(fmt.Sprintf("127.0.3.%d", i+1)).ask(t)
	}
	m.note(t, tray.Text("notice.request"))
	m.icon.WaitMenu(t, "all requests in one item", func(i *traytest.Item) bool { return first(i) == tray.Text("review.many", waiting) })
	m.notes.None(t, time.Second)
	if n := m.notes.Open() - m.connected; n != 1 {
		t.Errorf("%d notifications of requests are on the screen, want 1", n)
	}
	m.links.none(t)
	m.icon.Click(t, tray.Text("review.many", waiting))
	m.follow("/")
	var status struct {
		Pending []struct {
			URL   string
			Asked bool
		}
	}
	m.status(&status)
	for _, q := range status.Pending {
		if q.Asked {
			// Without a number from a screen, Deny is for all that wait.
			page := m.browser.Open(q.URL)
			m.browser.Submit(m.browser.Form(page, page.URL.Path), map[string]string{"action": "deny"})
			break
		}
	}
	m.noNotes(t)
	m.icon.WaitMenu(t, "no request", func(i *traytest.Item) bool {
		for n := range waiting {
			if first(i) == tray.Text("review.many", n+1) {
				return false
			}
		}
		return !strings.HasPrefix(first(i), reviewOne)
	})
}

// saved is the saved key of the server.
func (m *menuTest) saved() (credential string) {
	m.t.Helper()
	var e struct {
		Credentials []struct{ ID string }
	}
	m.api("GET", "/api/slugs/"+m.e.Slug, nil, &e)
	if len(e.Credentials) != 1 {
		m.t.Fatalf("the server has %d keys, want 1", len(e.Credentials))
	}
	return e.Credentials[0].ID
}

// note waits for a notification.
func (m *menuTest) note(t *testing.T, summary string) traytest.Note {
	t.Helper()
	note := m.notes.Next(t)
	if note.Summary != summary {
		t.Errorf("a notification says %q, want %q", note.Summary, summary)
	}
	return note
}

// newApp waits for the notification that an app has connected.
func (m *menuTest) newApp(t *testing.T) {
	t.Helper()
	m.note(t, tray.Text("notice.client"))
	m.connected++
}

// noNotes waits until outdated notifications are withdrawn.
func (m *menuTest) noNotes(t *testing.T) {
	t.Helper()
	traytest.Wait(t, "the notifications withdrawn", func() (bool, string) {
		n := m.notes.Open()
		return n == m.connected, fmt.Sprintf("%d on the screen, want %d", n, m.connected)
	})
}

// signIn connects an app with the saved key.
func (m *menuTest) signIn(t *testing.T) *user {
	t.Helper()
	u := &user{OAuthClient: oauthClient(t, m.app, "http://127.0.0.1:1/callback", m.e.Local), t: t}
	p := m.browser.Consent(u.AuthorizeURL(), map[string]string{"credential": m.saved(), "action": "approve"})
	if status, body := u.Redeem(u.CodeFrom(p.Location)); status != http.StatusOK {
		t.Fatalf("the token = %d %v", status, body["error"])
	}
	return u
}

// key lets the upstream reject the key. The owner is notified, clicks and
// pastes another key, and the client keeps working.
func (m *menuTest) key(t *testing.T) {
	u := m.signIn(t)
	u.mustCall("before")
	m.newApp(t)
	calm, err := m.icon.Picture()
	if err != nil {
		t.Fatal(err)
	}
	m.up.SetKey("sk-desktop-next")
	u.call()
	note := m.note(t, tray.Text("notice.rejected"))
	if !strings.Contains(note.Body, "Linear") {
		t.Errorf("the notification does not say whose key it is: %s", note.Body)
	}
	m.icon.WaitMenu(t, "the rejected key", has(tray.Text("key.rejected", "Linear")))
	if amber, err := m.icon.Picture(); err != nil || string(amber.Pixels) == string(calm.Pixels) {
		t.Errorf("the icon did not change (%v)", err)
	}
	m.icon.Click(t, tray.Text("key.rejected", "Linear"))
	m.follow("/servers/" + m.e.Slug + "/key")
	m.notes.Click(t, note.ID, "default")
	page := m.follow("/servers/" + m.e.Slug + "/key")
	form := m.browser.Form(page, "/servers/"+m.e.Slug+"/key")
	if done := m.browser.Submit(form, map[string]string{"api_key": m.up.Key()}); done.Status != http.StatusOK {
		t.Fatalf("the key page = %d:\n%s", done.Status, done.Body)
	}
	m.icon.WaitMenu(t, "all well", func(i *traytest.Item) bool { return !strings.Contains(i.String(), tray.Text("key.rejected", "")) })
	traytest.Wait(t, "the same icon as before", func() (bool, string) {
		now, err := m.icon.Picture()
		return err == nil && string(now.Pixels) == string(calm.Pixels), ""
	})
	u.mustCall("the key was replaced")
	m.icon.WaitMenu(t, "when the server was used last", has("Linear", tray.Text("used", tray.Text("ago.now"))))
}

// revoke revokes the client with two clicks.
func (m *menuTest) revoke(t *testing.T) {
	menu := m.icon.WaitMenu(t, "the recent apps", has(tray.Text("clients")))
	if n := len(menu.Find(tray.Text("clients")).Items); n != len(m.grants()) {
		t.Errorf("the menu has %d apps, want %d", n, len(m.grants()))
	}
	for left := len(m.grants()); left > 0; left-- {
		app := first(menu.Find(tray.Text("clients")))
		m.icon.Click(t, tray.Text("clients"), app, tray.Text("revoke"), tray.Text("revoke.now"))
		traytest.Wait(t, "a grant less", func() (bool, string) { return len(m.grants()) == left-1, "" })
		menu = m.icon.WaitMenu(t, "an app less", func(i *traytest.Item) bool {
			apps := i.Find(tray.Text("clients"))
			return apps == nil && left == 1 || apps != nil && len(apps.Items) == left-1
		})
	}
	m.connected = 0
	m.noNotes(t)
}

// login turns "Start at login" on and off again.
func (m *menuTest) login(t *testing.T) {
	file := filepath.Join(m.bus.ConfigDir(), "autostart", "key2oauth.desktop")
	checked := func(want bool) {
		t.Helper()
		m.icon.WaitMenu(t, fmt.Sprintf("the check mark %v", want), func(i *traytest.Item) bool {
			item := i.Find(tray.Text("login"))
			return item != nil && item.Checkable && item.Checked == want
		})
	}
	checked(false)
	m.icon.Click(t, tray.Text("login"))
	checked(true)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{m.exe, `"--data-dir=` + m.dir + `"`, `"--at-login"`, `"--keychain=os"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("login does not start it with %s:\n%s", want, b)
		}
	}
	m.icon.Click(t, tray.Text("login"))
	checked(false)
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}

	// If it cannot be turned on, the owner sees why, and the menu does not show it
	// as on.
	folder := filepath.Dir(file)
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nowhere", folder); err != nil {
		t.Fatal(err)
	}
	m.icon.Click(t, tray.Text("login"))
	note := m.note(t, tray.Text("notice.login"))
	if !strings.Contains(note.Body, folder) {
		t.Errorf("the notification does not say why: %s", note.Body)
	}
	checked(false)
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	m.notes.Dismiss(t, note.ID)
	m.noNotes(t)
}

// quit ends the program during a call. The call must still complete.
func (m *menuTest) quit(t *testing.T) {
	u := signedIn(t, m.app, m.e.Local, m.up.Key())
	type result struct {
		a   reply
		err error
	}
	answer := make(chan result, 1)
	m.up.Reset()
	go func() {
		a, err := callTool(fresh, u.Resource, u.Access, "slow", json.RawMessage(`{"millis":1000}`))
		answer <- result{a, err}
	}()
	traytest.Wait(t, "the call at the upstream", func() (bool, string) { return len(m.up.Requests()) > 0, "" })
	m.icon.Click(t, tray.Text("quit"))
	if code := m.ended(); code != 0 {
		t.Errorf("the exit code is %d, want 0", code)
	}
	if r := <-answer; r.err != nil || !r.a.says("done") {
		t.Errorf("the call that was under way = %d %s, %v", r.a.Status, r.a.Body, r.err)
	}
	if n := m.notes.Open(); n != 0 {
		t.Errorf("%d notifications have outlived the program", n)
	}
}
