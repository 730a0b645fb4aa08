package shim

import (
	"crypto/rand"
	"io"
	"net/http"
	"sync"
)

// selfTestPath is where a self-test looks, by way of the internet.
const selfTestPath = "/.well-known/key2oauth/"

// selfTests are the nonces that are looked for just now.
type selfTests struct {
	mu      sync.Mutex
	running map[string]bool
}

// BeginSelfTest returns the path and the nonce of a self-test: until end is
// called, a GET of the path on the public origin answers with the nonce. Who
// gets it there has reached this program and no other. The address that the
// request comes from is ours in the world, so browsers that come from it are
// taken to be on this computer.
func (s *Shim) BeginSelfTest() (path, nonce string, end func()) {
	nonce = rand.Text()
	s.tests.mu.Lock()
	defer s.tests.mu.Unlock()
	if s.tests.running == nil {
		s.tests.running = make(map[string]bool)
	}
	s.tests.running[nonce] = true
	return selfTestPath + nonce, nonce, func() {
		s.tests.mu.Lock()
		defer s.tests.mu.Unlock()
		delete(s.tests.running, nonce)
	}
}

func (o *origin) serveSelfTest(w http.ResponseWriter, r *http.Request) error {
	nonce := r.PathValue("nonce")
	o.s.tests.mu.Lock()
	running := o.s.tests.running[nonce]
	o.s.tests.mu.Unlock()
	if !running {
		return notFoundError
	}
	if addr, ok := o.clientAddr(r); ok {
		o.s.ownAddr.Store(&addr)
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	io.WriteString(w, nonce)
	return nil
}
