package oauth

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestT08OwnUser: a second process of an app may come late with a token that
// was replaced. It has a day if the kernel shows that both uses came from our
// own OS user, and an hour if it does not, for one of them or for both.
func TestT08OwnUser(t *testing.T) {
	for _, tt := range []struct {
		name        string
		first, late bool // shown to be our own user
		after       time.Duration
		good        bool
	}{
		{"both ours, after 23 h", true, true, 23 * time.Hour, true},
		{"both ours, after a day", true, true, 24 * time.Hour, false},
		{"both ours, after 59 min", true, true, 59 * time.Minute, true},
		{"the late one unknown, after 59 min", true, false, 59 * time.Minute, true},
		{"the late one unknown, after an hour", true, false, time.Hour, false},
		{"the first unknown, after an hour", false, true, time.Hour, false},
		{"both unknown, after 59 min", false, false, 59 * time.Minute, true},
		{"both unknown, after an hour", false, false, time.Hour, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				own := false
				f.pub.OwnUser = func(*http.Request) bool { return own }
				c := f.connect(f.pub)
				own = tt.first
				_, second := c.mustRenew(c.refresh)
				time.Sleep(time.Minute)
				own = false // who uses the successor says nothing about the token
				c.mustRenew(second)
				time.Sleep(tt.after)
				own = tt.late
				w := c.renew(c.refresh)
				if got := w.Code == http.StatusOK; got != tt.good {
					t.Fatalf("got status %d, want it good: %t", w.Code, tt.good)
				}
				own = false
				status := http.StatusOK
				if !tt.good {
					status = http.StatusUnauthorized // reuse ends the grant
				}
				access := c.access
				if tt.good {
					access, _ = c.mustRenew(object(t, w)["refresh_token"].(string))
				}
				c.wantCall(access, status)
			})
		})
	}
}

// TestTwoPlaces tells a grant that two parties use from one whose client loses
// answers.
func TestTwoPlaces(t *testing.T) {
	const day = 24 * time.Hour
	run := func(name string, do func(t *testing.T, c *session, places func() time.Time)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				c := f.connect(f.pub)
				do(t, c, func() time.Time {
					g, err := f.store.Grant(grantOf(t, c.access))
					if err != nil {
						t.Fatal(err)
					}
					return g.InTwoPlaces
				})
			})
		})
	}
	never := func(t *testing.T, places func() time.Time) {
		t.Helper()
		if at := places(); !at.IsZero() {
			t.Errorf("in two places since %v, want it in one", at)
		}
	}
	run("one client", func(t *testing.T, c *session, places func() time.Time) {
		for range 30 {
			time.Sleep(day)
			_, c.refresh = c.mustRenew(c.refresh)
			never(t, places)
		}
	})
	run("a lost answer", func(t *testing.T, c *session, places func() time.Time) {
		c.mustRenew(c.refresh)
		for range 5 {
			_, c.refresh = c.mustRenew(c.refresh)
			time.Sleep(day)
			never(t, places)
		}
	})
	run("a lost answer every day", func(t *testing.T, c *session, places func() time.Time) {
		for range 40 {
			time.Sleep(day)
			c.mustRenew(c.refresh)
			c.mustRenew(c.refresh)
			_, c.refresh = c.mustRenew(c.refresh)
			never(t, places)
		}
	})
	run("a process that comes late once", func(t *testing.T, c *session, places func() time.Time) {
		_, second := c.mustRenew(c.refresh)
		time.Sleep(10 * time.Minute)
		c.mustRenew(c.refresh)
		for range 5 {
			time.Sleep(day)
			_, second = c.mustRenew(second)
			never(t, places)
		}
	})
	run("a thief", func(t *testing.T, c *session, places func() time.Time) {
		time.Sleep(day)
		_, mine := c.mustRenew(c.refresh)
		time.Sleep(time.Minute)
		forked := time.Now()
		_, theirs := c.mustRenew(c.refresh)
		time.Sleep(30 * time.Minute)
		_, mine = c.mustRenew(mine)
		_, theirs = c.mustRenew(theirs)
		never(t, places) // still in the overlap
		time.Sleep(day)
		_, mine = c.mustRenew(mine)
		never(t, places)
		_, theirs = c.mustRenew(theirs)
		if at := places(); !at.Equal(forked) {
			t.Errorf("in two places since %v, want %v", at, forked)
		}
		time.Sleep(day)
		_, mine = c.mustRenew(mine)
		if at := places(); !at.Equal(forked) {
			t.Errorf("a day later: in two places since %v, want %v", at, forked)
		}
		// They stop. Once their last token has expired it is one place again.
		_, _ = mine, theirs
		for range 91 {
			time.Sleep(day)
			_, mine = c.mustRenew(mine)
		}
		never(t, places)
	})
	run("two parties that fork again and again", func(t *testing.T, c *session, places func() time.Time) {
		_, a := c.mustRenew(c.refresh)
		_, b := c.mustRenew(c.refresh)
		for range 20 {
			time.Sleep(day)
			c.mustRenew(a)
			_, a = c.mustRenew(a)
			c.mustRenew(b)
			_, b = c.mustRenew(b)
		}
		time.Sleep(day)
		c.mustRenew(a)
		c.mustRenew(b)
		if places().IsZero() {
			t.Error("in one place, want two")
		}
		g, _ := c.f.store.Grant(grantOf(t, c.access))
		if len(g.Branches) > maxBranches {
			t.Errorf("%d branches are kept, want at most %d", len(g.Branches), maxBranches)
		}
	})
}
