package origin

import (
	"crypto/rand"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
)

// selfTestPath is where a self-test looks, by way of the internet.
const selfTestPath = "/.well-known/key2oauth/"

// SelfTests are the self-tests that run, and our address in the world as the
// last one saw it. The zero value is ready for use.
type SelfTests struct {
	// Claimed is the address that a self-test says it comes from, in the headers
	// in which proxies name their clients. Without one, no sign of a tunnel stands
	// the test.
	Claimed netip.Addr

	addr atomic.Pointer[netip.Addr] // nil before the first test has arrived

	mu     sync.Mutex
	nonces map[string]bool
}

// Begin returns the path and the nonce of a self-test: until end is called, a
// GET of the path on a public origin answers with the nonce. A program that gets it
// there has reached this program and no other. The request comes from our own
// address in the world, so browsers at that address are taken to be on this
// computer.
func (t *SelfTests) Begin() (path, nonce string, end func()) {
	nonce = rand.Text()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.nonces == nil {
		t.nonces = make(map[string]bool)
	}
	t.nonces[nonce] = true
	return selfTestPath + nonce, nonce, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.nonces, nonce)
	}
}

func (t *SelfTests) runs(nonce string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.nonces[nonce]
}

func (o *Origin) serveSelfTest(w http.ResponseWriter, r *http.Request) error {
	nonce := r.PathValue("nonce")
	if !o.cfg.SelfTests.runs(nonce) {
		return errNothingHere
	}
	o.learn(r.Header, o.cfg.SelfTests.Claimed)
	if addr, ok := o.clientAddr(r); ok {
		o.cfg.SelfTests.addr.Store(&addr)
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	io.WriteString(w, nonce)
	return nil
}
