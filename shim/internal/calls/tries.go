package calls

import (
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// waits are the times between tries of a rejected key; the last one stays.
// Servers lock their doors after some twenty failed sign-ins.
var waits = []time.Duration{
	30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute,
}

// tries says when a rejected key is tried again, which is only when an app
// calls. It outlives the route, which is rebuilt after every change.
type tries struct {
	key endpoint.Secret

	mu   sync.Mutex
	next time.Time
	made int // tries since the key was rejected
}

// triesOf finds or makes the tries of a credential. A new key starts over, and
// so does one that is not rejected.
func (c *Calls) triesOf(credential string, key endpoint.Secret, rejected bool) *tries {
	if known, ok := c.tries.Load(credential); ok && rejected && known.(*tries).key.Reveal() == key.Reveal() {
		return known.(*tries)
	}
	t := &tries{key: key}
	c.tries.Store(credential, t)
	return t
}

// begin starts to count: the key was rejected just now.
func (t *tries) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.made = 0
	t.wait()
}

// due reports whether a call may try the key now. Only one may.
func (t *tries) due() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Now().Before(t.next) {
		return false
	}
	t.wait()
	return true
}

func (t *tries) wait() {
	t.next = time.Now().Add(waits[min(t.made, len(waits)-1)])
	t.made++
}
