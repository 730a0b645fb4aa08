package e2e

import (
	"errors"
	"fmt"
	"html"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// A smallDisk is a file system of a few megabytes that can be filled.
type smallDisk struct {
	t   testing.TB
	dir string
}

// newSmallDisk mounts a file system that only this goroutine and its programs
// can see. The kernel unmounts it when they have ended, even if the test
// crashes.
func newSmallDisk(t testing.TB, megabytes int) *smallDisk {
	t.Helper()
	dir := t.TempDir()
	ownMounts(t)
	if err := syscall.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		testenv.Skip(t, "does not let root mount a file system: "+err.Error())
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return &smallDisk{t, dir}
}

// ownMounts gives this goroutine and its programs a private view of the file
// systems.
func ownMounts(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		testenv.Skip(t, "does not let this user mount a file system: it takes root")
	}
	// Never unlocked: the thread now has its own view of the mounts, so it must end
	// with the goroutine.
	runtime.LockOSThread()
	err := syscall.Unshare(syscall.CLONE_NEWNS)
	if err == nil {
		err = syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	}
	if err != nil {
		testenv.Skip(t, "does not let root mount a file system: "+err.Error())
	}
}

func (d *smallDisk) filler() string { return filepath.Join(d.dir, "filler") }

// fill fills the disk completely.
func (d *smallDisk) fill() {
	d.t.Helper()
	f, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; {
		_, err := f.Write(make([]byte, size))
		switch {
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case err != nil:
			d.t.Fatal(err)
		}
	}
}

// empty frees the space again.
func (d *smallDisk) empty() {
	d.t.Helper()
	if err := os.Remove(d.filler()); err != nil {
		d.t.Fatal(err)
	}
}

// TestL07T15DiskFull fills the disk under the running program. While it is
// full, requests that must save something are refused, but no client may take
// that for the end of its sign-in. Requests that save nothing still work. When
// there is room again, everything works again without help.
func TestL07T15DiskFull(t *testing.T) {
	t.Parallel()
	disk := newSmallDisk(t, 2)
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	a := startWith(t, &app{dir: filepath.Join(disk.dir, "data")})
	e := a.addEndpoint("Linear", up.URL, up.Key())
	var users []*user
	for range 3 {
		u := signedIn(t, a, e.Local, up.Key())
		u.mustRefresh("before", u.Refresh)
		users = append(users, u)
	}
	newcomer := oauthClient(t, a, "http://127.0.0.1:1/callback", e.Local)
	browser := shimtest.NewBrowser(t, a.origin)
	approved := oauthClient(t, a, "http://127.0.0.1:1/callback", e.Local)
	code := approved.CodeFrom(browser.Consent(approved.AuthorizeURL(), map[string]string{"api_key": up.Key(), "action": "approve"}).Location)

	disk.fill()
	mustFill(t, users[0])
	for range 2 {
		for _, u := range users {
			u.mustCall("on a full disk")
			refreshIfThereIsRoom(t, u)
		}
		mustBeRefused(t, "a code on a full disk")(approved.Redeem(code))
	}
	consented := browser.Consent(newcomer.AuthorizeURL(), map[string]string{"api_key": up.Key(), "action": "approve"})
	if consented.Status != http.StatusServiceUnavailable || !strings.Contains(html.UnescapeString(consented.Body), shimtest.TextDiskTrouble) {
		t.Errorf("consent on a full disk = %d %s:\n%s\nwant 503 and words", consented.Status, consented.Location, consented.Body)
	}

	disk.empty()
	for _, u := range users {
		u.mustAll("with room again")
	}
	// Neither the code nor the work of the person at the consent page is lost.
	if status, body := approved.Redeem(code); status != http.StatusOK {
		t.Errorf("the code with room again = %d %v, want 200", status, body)
	}
	again := browser.Submit(browser.Form(consented, consented.URL.Path), map[string]string{"api_key": up.Key(), "action": "approve"})
	if again.Location == "" {
		t.Fatalf("the consent form sent again with room = %d:\n%s", again.Status, again.Body)
	}
	if status, body := newcomer.Redeem(newcomer.CodeFrom(again.Location)); status != http.StatusOK {
		t.Errorf("POST /token = %d %v, want 200", status, body)
	}

	for _, c := range []*shimtest.OAuthClient{approved, newcomer} {
		u := &user{OAuthClient: c, t: t}
		u.keep()
		users = append(users, u)
	}

	// Cut the power while the disk is full. The program still starts: it writes its
	// notes for other commands over those of the last start.
	disk.fill()
	mustFill(t, users[0])
	a.restart()
	for _, u := range users {
		u.mustCall("after a start on a full disk")
		refreshIfThereIsRoom(t, u)
	}
	mustFill(t, users[0])
	disk.empty()
	for _, u := range users {
		u.mustAll("with room again after the start")
	}
	a.restart()
	for _, u := range users {
		u.mustAll("after the last start")
	}
	if n := len(a.grants()); n != len(users) {
		t.Errorf("there are %d grants, want %d", n, len(users))
	}
	if out := a.out.String(); !strings.Contains(out, "no space left on device") || strings.Contains(out, "panic") {
		t.Error("the log does not say what was wrong, or there was a panic")
	}
}

// mustFill refreshes until that fails. The data file has reserved space for a
// few changes.
func mustFill(t *testing.T, u *user) {
	t.Helper()
	for deadline := time.Now().Add(patience); refreshIfThereIsRoom(t, u); {
		if time.Now().After(deadline) {
			t.Fatal("the disk is full, and the program does not notice")
		}
	}
}

// refreshIfThereIsRoom refreshes, or checks that the refusal is the right one.
func refreshIfThereIsRoom(t *testing.T, u *user) bool {
	t.Helper()
	status, body := u.DoRefresh(u.Refresh)
	if status == http.StatusOK {
		u.keep()
		return true
	}
	mustBeRefused(t, "a refresh on a full disk")(status, body)
	return false
}

// mustBeRefused checks the response of /token while nothing can be saved. Any
// other response makes clients forget their tokens.
func mustBeRefused(t *testing.T, what string) func(status int, body map[string]any) {
	return func(status int, body map[string]any) {
		t.Helper()
		if status != http.StatusServiceUnavailable || body["error"] != "temporarily_unavailable" {
			t.Errorf("%s = %d %v, want 503 temporarily_unavailable", what, status, body["error"])
		}
	}
}
