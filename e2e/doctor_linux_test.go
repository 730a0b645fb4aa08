package e2e

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/shim/shimtest/catalogue"
)

// TestDoctorFullDisk fills the disk of an owner who does nothing about it. The
// home page, the status and the doctor report the problem until there is room
// again.
func TestDoctorFullDisk(t *testing.T) {
	testenv.Slow(t) // the program checks every five seconds whether there is room
	t.Parallel()
	disk := newSmallDisk(t, 96) // as much as the doctor wants to be free
	a := startWith(t, &app{dir: filepath.Join(disk.dir, "data")})
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	u := signedIn(t, a, a.addEndpoint("Linear", up.URL, up.Key()).Local, up.Key())
	b := shimtest.NewBrowser(t, a.origin)
	b.SignIn(a.ownerLink())
	const words, next = shimtest.TextDiskFull, shimtest.TextDiskFullNext
	says := func() (home, status bool) {
		page := html.UnescapeString(b.Open("/").Body)
		return strings.Contains(page, words) && strings.Contains(page, next), strings.Contains(unwrapped(a.run("", "status")), words)
	}
	if home, status := says(); home || status || !a.doctor().OK {
		t.Fatalf("with room, the home page says that the disk is full: %v; the status does: %v; the doctor %+v", home, status, a.doctor())
	}
	disk.fill()
	mustFill(t, u)
	if home, status := says(); !home || !status {
		t.Errorf("the home page says that the disk is full: %v; the status does: %v", home, status)
	}
	a.mustBlame("computer.state", "failed", "yours", words, next)
	a.mustBlame("computer.disk", "failed", "yours", fmt.Sprintf(catalogue.TextDiskLow, 0), catalogue.NextDisk)
	// An app that connects now is stopped by it.
	c := oauthClient(t, a, "http://127.0.0.1:1/callback", u.Resource)
	shimtest.NewBrowser(t, a.origin).Consent(c.AuthorizeURL(), map[string]string{"api_key": up.Key(), "action": "approve"})
	if all := a.attempts(); len(all) == 0 || all[0].Diagnosis.Whose != "yours" || !all[0].says("approve disk") {
		t.Errorf("the timeline says of it %+v", all)
	}
	disk.empty()
	eventually(t, patience, "the program notices that there is room", func() bool { home, status := says(); return !home && !status })
	if c := a.doctor(); !c.OK {
		t.Errorf("with room again the doctor says %+v", c.Findings)
	}
	u.mustCall("with room again")
}

// TestDoctorLockedKeychain locks a real keychain before the program starts.
func TestDoctorLockedKeychain(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	a, keyring := inKeychain(t)
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	e := a.addEndpoint("Linear", up.URL, up.Key())
	waitKeychain(a, "ready")
	u := signedIn(t, a, e.Local, up.Key())
	if c := a.doctor(); !c.OK {
		t.Fatalf("with the keychain open the doctor says %+v", c.Findings)
	}
	keyring.Lock(t)
	a.restart()
	words := waitKeychain(a, "locked")
	a.mustBlame("computer.keychain", "failed", "yours", words, catalogue.NextUnlock)
	a.mustBlame("servers."+e.Slug, "failed", "yours", words, catalogue.NextUnlock)
	c := oauthClient(t, a, "http://127.0.0.1:1/callback", e.Local)
	shimtest.NewBrowser(t, a.origin).Consent(c.AuthorizeURL(), map[string]string{"api_key": up.Key(), "action": "approve"})
	if all := a.attempts(); len(all) == 0 || all[0].Diagnosis.Whose != "yours" || !all[0].says("key locked") {
		t.Errorf("the timeline says of an app that connects now: %+v", all)
	}
	keyring.Unlock(t)
	waitKeychain(a, "ready")
	if c := a.doctor(); !c.OK {
		t.Errorf("with the keychain open again the doctor says %+v", c.Findings)
	}
	u.mustCall("with the keychain open again")
}

// TestDoctorPlainHTTP adds servers on the internet without encryption. An
// address is refused at once, a name once it resolves to such an address.
func TestDoctorPlainHTTP(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	ownMounts(t)
	hosts := filepath.Join(t.TempDir(), "hosts")
	leadTo := func(addr string) {
		if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost\n"+addr+" plain.example.com\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	leadTo("127.0.0.1")
	if err := syscall.Mount(hosts, "/etc/hosts", "", syscall.MS_BIND, ""); err != nil {
		testenv.Skip(t, "does not let root mount a file: "+err.Error())
	}
	t.Cleanup(func() { syscall.Unmount("/etc/hosts", syscall.MNT_DETACH) })
	a := startApp(t)
	out, err := exec.Command(a.exe, "add", "http://203.0.113.77/mcp", "--data-dir", a.dir).CombinedOutput()
	if err == nil || !strings.Contains(unwrapped(string(out)), catalogue.TextUseHTTPS) {
		t.Errorf("key2oauth add of a public address over http: %v, and it printed %q, want what to do", err, out)
	}
	up := shimtest.NewUpstream(t, shimtest.Options{})
	// The go-sdk's servers accept no name but localhost.
	origin, err := url.Parse(up.Origin)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(origin) }}
	named := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { relay(proxy, w, r) }))
	named.Config.SetKeepAlivesEnabled(false) // an open connection would keep its old address
	t.Cleanup(func() { named.CloseClientConnections(); named.Close() })
	e := a.addEndpoint("Server", strings.Replace(named.URL, "127.0.0.1", "plain.example.com", 1)+"/mcp", up.Key())
	if c := a.doctor(); !c.OK {
		t.Fatalf("while the name leads to this computer the doctor says %+v", c.Findings)
	}
	leadTo("203.0.113.77")
	eventually(t, patience, "the doctor sees where the name leads", func() bool { // names are cached for some seconds
		c := a.doctor()
		f := c.find("servers." + e.Slug)
		if !c.OK && f.State != "failed" {
			t.Errorf("something else is wrong: %+v", c.Findings)
		}
		return f.State == "failed"
	})
	a.mustBlame("servers."+e.Slug, "failed", "yours", "203.0.113.77", catalogue.NextAddress)
}
