package calls

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// A rejected key is tried after 30 seconds, after 1, 2, 4 and 8 minutes, then
// every 15 minutes, and only when a call comes.
func TestTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Calls
		key := endpoint.NewSecret("sk-1")
		way := &route{tries: c.triesOf("c1", key, false)}
		if refuse, retry := way.refuses(); refuse || retry {
			t.Error("a good key is refused")
		}
		way.rejected.Store(true)
		way.tries.begin()
		// steps waits for the tries that a call a second makes, and returns the
		// seconds between them.
		steps := func(n int) (waited []int) {
			last := time.Now()
			for len(waited) < n {
				time.Sleep(time.Second)
				if refuse, retry := way.refuses(); retry {
					waited = append(waited, int(time.Since(last).Seconds()))
					last = time.Now()
				} else if !refuse {
					t.Fatal("a rejected key is used")
				}
			}
			return waited
		}
		want := []int{30, 60, 120, 240, 480, 900, 900}
		for i, got := range steps(3) {
			if got != want[i] {
				t.Errorf("try %d came after %d s, want %d", i, got, want[i])
			}
		}
		// A change of the state makes new routes, and says nothing about the key.
		way = &route{tries: c.triesOf("c1", key, true)}
		way.rejected.Store(true)
		for i, got := range steps(4) {
			if got != want[3+i] {
				t.Errorf("try %d came after %d s, want %d", 3+i, got, want[3+i])
			}
		}
		// No call came for a day: one call tries, the others wait.
		time.Sleep(24 * time.Hour)
		if _, retry := way.refuses(); !retry {
			t.Error("after a day the key is not tried")
		}
		if _, retry := way.refuses(); retry {
			t.Error("two calls try at once")
		}
		for _, again := range []*tries{c.triesOf("c1", endpoint.NewSecret("sk-2"), true), c.triesOf("c1", key, false)} {
			if !again.due() {
				t.Error("a paste does not reset the waits")
			}
		}
		if refuse, retry := deadEnd("c2", "x", endpoint.TroubleGone).refuses(); !refuse || retry {
			t.Error("a key that is gone is tried")
		}
	})
}
