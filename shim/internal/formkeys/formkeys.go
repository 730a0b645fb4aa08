// Package formkeys keeps keys for forms that came back with an error. A page never
// carries a key, and the person does not have to paste it twice.
package formkeys

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// Keys are in memory for ten minutes, and their number is bounded.
type Keys struct {
	mu   sync.Mutex
	keys map[string]entry
}

// An entry is a key, and who may take it back.
type entry struct {
	key   endpoint.Secret
	owner string // the session, or browser, that sent it
	until time.Time
}

const (
	most = 32
	life = 10 * time.Minute
)

// New returns no keys.
func New() *Keys { return &Keys{keys: make(map[string]entry)} }

// Put keeps a key and returns the handle that Take needs.
func (h *Keys) Put(key, session string) string {
	if key == "" {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for id, k := range h.keys {
		if now.After(k.until) || len(h.keys) >= most {
			delete(h.keys, id)
		}
	}
	id := rand.Text()
	h.keys[id] = entry{key: endpoint.NewSecret(key), owner: session, until: now.Add(life)}
	return id
}

// Take returns a key that was kept for the same session, and forgets it.
func (h *Keys) Take(id, session string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, ok := h.keys[id]
	if !ok || k.owner != session || time.Now().After(k.until) {
		return ""
	}
	delete(h.keys, id)
	return k.key.Reveal()
}

// Drop forgets all keys.
func (h *Keys) Drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.keys)
}
