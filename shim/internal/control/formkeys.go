package control

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// FormKeys keeps keys for forms that came back with an error. A page never
// carries a key, and the person does not have to paste it twice. Keys stay in
// memory for ten minutes, and their number is bounded.
type FormKeys struct {
	mu   sync.Mutex
	keys map[string]formKey
}

type formKey struct {
	key   endpoint.Secret
	owner string // the session, or browser, that sent it
	until time.Time
}

const (
	maxFormKeys = 32
	formKeyLife = 10 * time.Minute
)

func newFormKeys() *FormKeys { return &FormKeys{keys: make(map[string]formKey)} }

// Put keeps a key and returns the handle that Take needs.
func (h *FormKeys) Put(key, session string) string {
	if key == "" {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for id, k := range h.keys {
		if now.After(k.until) || len(h.keys) >= maxFormKeys {
			delete(h.keys, id)
		}
	}
	id := rand.Text()
	h.keys[id] = formKey{key: endpoint.NewSecret(key), owner: session, until: now.Add(formKeyLife)}
	return id
}

// Take returns a key that was kept for the same session, and forgets it.
func (h *FormKeys) Take(id, session string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, ok := h.keys[id]
	if !ok || k.owner != session || time.Now().After(k.until) {
		return ""
	}
	delete(h.keys, id)
	return k.key.Reveal()
}

// drop forgets all keys.
func (h *FormKeys) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.keys)
}
