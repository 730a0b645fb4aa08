package e2e

import (
	"fmt"
	"image"
	"image/color"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/shim/shimtest/keyringtest"
	"github.com/key2oauth/key2oauth/tray"
	"github.com/key2oauth/key2oauth/tray/traytest"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// The colors of the tray icon, which must show on a panel of any color.
var (
	slate = color.NRGBA{0x77, 0x87, 0xa1, 0xff}
	green = color.NRGBA{0x13, 0x9a, 0x67, 0xff}
	amber = color.NRGBA{0xd0, 0x76, 0x00, 0xff}
)

// TestDesktopScreen shows the program on XFCE's panel, with its notifications,
// next to a keychain. It keeps pictures for a person to look at.
func TestDesktopScreen(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	keyring := keyringtest.Start(t, keyringtest.Unlocked)
	screen := traytest.StartDesktop(t, traytest.Options{Bus: traytest.Join(keyring.Env())})
	d := startDesktopApp(t, desktopSession{keyring: keyring, bus: screen.Bus, env: screen.Env()})
	shoot := func(name string, icon image.Point) {
		t.Helper()
		screen.Still(t) // notifications fade in
		screen.OpenMenu(t, icon)
		traytest.Keep(t, screen.Screen(t), image.Rect(250, 0, 1000, 700), filepath.Join(shots, "desktop-"+name+".png"))
		screen.CloseMenu(t)
	}
	shoot("first-run", screen.Icon(t, slate))

	linear := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	sentry := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	e := d.addEndpoint("Linear", linear.URL, linear.Key())
	d.connect("Claude Code", d.addEndpoint("Sentry", sentry.URL, sentry.Key()), sentry).mustCall("connected")
	u := d.connect("Cursor", e, linear)
	u.mustCall("connected")
	d.api("PUT", "/api/tunnel", map[string]string{"provider": "ngrok", "authtoken": desktopAuthtoken}, nil)
	d.bus.IconOf(t, d.cmd.Process.Pid).WaitMenu(t, "that both servers were used", func(m *traytest.Item) bool {
		used := func(name string) bool {
			server := m.Find(name)
			return server != nil && len(server.Items) > 0 && server.Find(tray.Text("used.never")) == nil
		}
		return used("Linear") && used("Sentry")
	})
	shoot("connected", screen.Icon(t, green))

	screen.OpenMenu(t, screen.Icon(t, green))
	screen.OpenSubmenu(t, "Down") // Linear
	traytest.Keep(t, screen.Screen(t), image.Rect(250, 0, 1000, 700), filepath.Join(shots, "desktop-server.png"))
	screen.Do(t, "key", "Return") // Copy MCP URL
	var info endpointInfo
	d.api("GET", "/api/slugs/"+e.Slug, nil, &info)
	traytest.Wait(t, "the address on the clipboard", func() (bool, string) {
		cmd := exec.Command(testenv.Need(t, "xclip"), "-selection", "clipboard", "-out")
		cmd.Env = screen.Env()
		out, _ := cmd.CombinedOutput()
		return string(out) == info.MCP, fmt.Sprintf("it is %q, want %q", out, info.MCP)
	})
	if want := "https://" + tunneltest.DefaultDomain + "/" + e.Slug + "/mcp"; info.MCP != want {
		t.Errorf("the address is %s, want %s", info.MCP, want)
	}

	m := &menuTest{desktopApp: d, t: t, up: linear, e: e}
	f := m.phone("127.0.2.1")
	before := screen.Still(t)
	f.ask(t)
	screen.WaitChange(t, "a notification", before, notificationSize)
	shoot("request", screen.Icon(t, amber))
	m.links.next(t) // of the first run
	m.links.none(t)
	screen.OpenMenu(t, screen.Icon(t, amber))
	screen.Do(t, "key", "Down", "Return") // Review request
	page := m.follow("/consent/" + f.id)
	m.browser.Submit(m.browser.Form(page, page.URL.Path), map[string]string{"action": "deny"})
	screen.Icon(t, green)

	linear.SetKey("sk-desktop-next")
	before = screen.Still(t)
	u.call()
	screen.WaitChange(t, "a notification", before, notificationSize)
	shoot("key-rejected", screen.Icon(t, amber))
	d.run(linear.Key(), "key", e.Slug, "--credential", d.grantOf("Cursor").Credential)
	screen.Icon(t, green)

	d.run("", "pause")
	traytest.Wait(t, "an icon without a color", func() (bool, string) {
		_, ok := traytest.Find(screen.Screen(t), traytest.Panel, green)
		return !ok, ""
	})
	shoot("paused", screen.Icon(t, slate))
}

// notificationSize is how many pixels differ at least between a screen with a
// notification and one without. An icon that changes is much smaller.
const notificationSize = 5000

// connect signs a client in with a key that is pasted on the consent page.
func (d *desktopApp) connect(name string, e endpointInfo, up *shimtest.Upstream) *user {
	d.t.Helper()
	u := &user{OAuthClient: oauthClient(d.t, d.app, "http://127.0.0.1:1/callback", e.Local), t: d.t}
	status, body := u.PostJSON("/register", map[string]any{
		"client_name": name, "redirect_uris": []string{u.Redirect}, "token_endpoint_auth_method": "none",
	})
	if status != http.StatusCreated {
		d.t.Fatalf("POST /register = %d %v", status, body)
	}
	u.ID = body["client_id"].(string)
	u.Connect(shimtest.NewBrowser(d.t, d.origin), up.Key())
	u.keep()
	return u
}

func (d *desktopApp) grantOf(client string) grantInfo {
	d.t.Helper()
	for _, g := range d.grants() {
		if strings.HasPrefix(g.ClientName, client) {
			return g
		}
	}
	d.t.Fatalf("%s has no grant", client)
	return grantInfo{}
}
