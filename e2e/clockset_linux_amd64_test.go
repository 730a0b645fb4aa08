package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestT16T18ClockIsSet sets the clock under the running program and between
// two starts of it. Whichever way it goes, nobody has to sign in again: no
// token is taken for one that was used twice, and what had expired by a wrong
// clock is good again by the right one.
func TestT16T18ClockIsSet(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	const day = 24 * time.Hour
	for _, ahead := range []time.Duration{-400 * day, -day, -time.Hour, 10 * time.Minute, day} {
		t.Run(fmt.Sprintf("by %v", ahead), func(t *testing.T) {
			t.Parallel()
			c := &clock{t: t}
			w := newClockWorld(t, c)
			w.check("before")
			lost := w.user.Refresh // the answer to it does not arrive
			w.refresh("before")
			w.user.Refresh = lost

			c.set(ahead)
			w.check("the clock is set")
			c.set(0)
			w.check("the clock is right again")
			w.checkActivity()
			w.a.stop()
			c.ahead = ahead
			w.a.start()
			w.check("a start with the wrong clock")
			w.a.stop()
			c.ahead = 0
			w.a.start()
			w.check("a start with the right clock")
			w.checkActivity()
		})
	}
}

// A clockWorld is a client of a program whose clock is set.
type clockWorld struct {
	t      *testing.T
	a      *app
	clock  *clock
	user   *user
	owner  *shimtest.Browser
	issued []time.Duration // how far ahead the clock was at each access token
	worked []time.Duration // and at each call that reached the upstream
}

func newClockWorld(t *testing.T, c *clock) *clockWorld {
	t.Helper()
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	a := startWith(t, &app{begin: c.begin})
	e := a.addEndpoint("Linear", up.URL, up.Key())
	w := &clockWorld{t: t, a: a, clock: c, user: signedIn(t, a, e.Local, up.Key()), owner: shimtest.NewBrowser(t, a.origin)}
	w.issued = []time.Duration{0}
	w.owner.SignIn(a.ownerLink())
	return w
}

// check makes sure that every token does what the program's clock says of it,
// that the newest refresh token works, and that nothing else has changed.
func (w *clockWorld) check(when string) {
	w.t.Helper()
	checkClock(w.t, w.a, w.clock)
	w.try(when)
	w.refresh(when)
	w.try(when + ", refreshed")
	if n := len(w.a.grants()); n != 1 {
		w.t.Fatalf("%s: there are %d grants, want 1", when, n)
	}
	if p := w.owner.Open("/"); p.Status != http.StatusOK {
		w.t.Errorf("%s: the owner's page is %d, want 200", when, p.Status)
	}
	mustIdle(w.t, w.a, when)
}

func (w *clockWorld) refresh(when string) {
	w.t.Helper()
	w.user.mustRefresh(when, w.user.Refresh)
	w.issued = append(w.issued, w.clock.ahead)
}

// try makes a call with every access token that was ever answered.
func (w *clockWorld) try(when string) {
	w.t.Helper()
	for i, token := range w.user.access {
		// It is good for a day. The few seconds of the test decide nothing,
		// except that a token of a day ago has expired.
		good := w.clock.ahead-w.issued[i] < 24*time.Hour
		r := w.user.callWith(token)
		switch {
		case good && r.says(w.user.text()):
			w.worked = append(w.worked, w.clock.ahead)
		case good:
			w.t.Errorf("%s: access token %d = %d %s, want an answer", when, i+1, r.Status, r.Body)
		case r.Status != http.StatusUnauthorized:
			w.t.Errorf("%s: access token %d, which is %v old, = %d, want 401", when, i+1, w.clock.ahead-w.issued[i], r.Status)
		}
	}
}

// checkActivity makes sure that no call is missing from the activity, unless
// it was made a month ago, that their times do not go to and fro, and that the
// latest is the last use.
func (w *clockWorld) checkActivity() {
	w.t.Helper()
	var log struct {
		Activity []struct{ Time time.Time }
	}
	w.a.api("GET", "/api/activity?limit=1000", nil, &log)
	want := 0
	for _, ahead := range w.worked {
		if w.clock.ahead-ahead < 30*24*time.Hour {
			want++
		}
	}
	if len(log.Activity) != want {
		w.t.Fatalf("the activity has %d calls, want %d", len(log.Activity), want)
	}
	for i := 1; i < len(log.Activity); i++ {
		if log.Activity[i].Time.After(log.Activity[i-1].Time) {
			w.t.Errorf("call %d of the activity, newest first, is later than the one before", i)
		}
	}
	var list struct {
		Grants []struct {
			LastUsed time.Time `json:"last_used"`
		}
	}
	w.a.api("GET", "/api/grants", nil, &list)
	if off := list.Grants[0].LastUsed.Sub(log.Activity[0].Time); off.Abs() > time.Minute {
		w.t.Errorf("the last use is %v from the latest call", off)
	}
}

// checkClock makes sure that the program's clock is what it was set to.
func checkClock(t *testing.T, a *app, c *clock) {
	t.Helper()
	resp, err := fresh.Get(a.origin + "/.well-known/oauth-authorization-server")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	at, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		t.Fatal(err)
	}
	if off := time.Until(at) - c.ahead; off.Abs() > time.Minute {
		t.Fatalf("the program's clock is %v from where it was set", off)
	}
}

// mustIdle makes sure that the program waits for something to happen, instead
// of asking over and over whether it is time.
func mustIdle(t *testing.T, a *app, when string) {
	t.Helper()
	before, begin := cpuTime(t, a), time.Now()
	time.Sleep(1500 * time.Millisecond)
	if used, took := cpuTime(t, a)-before, time.Since(begin); used > took/5 {
		t.Errorf("%s: the idle program computed for %v within %v", when, used, took)
	}
}

// cpuTime is how long the program has computed since its start.
func cpuTime(t *testing.T, a *app) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	// The name of the program may hold anything, and ends with a parenthesis.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		t.Fatalf("times %q %q", fields[11], fields[12])
	}
	return time.Duration(user+system) * time.Second / 100 // USER_HZ
}
