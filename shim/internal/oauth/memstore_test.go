package oauth

import (
	"maps"
	"slices"
	"sync"
	"testing"
	"time"
)

// A memStore is a Store in memory. Each method is one transaction, and a failed
// one changes nothing.
type memStore struct {
	mu     sync.Mutex
	grants map[string]Grant
	tokens map[string]map[Digest]Token

	fail   error       // what every method returns while it is set
	onRead func()      // called between reading a token and returning it
	reads  int         // calls of Token
	saved  []time.Time // when TouchGrants was last called
	used   []map[string]time.Time
}

func newMemStore() *memStore {
	return &memStore{grants: map[string]Grant{}, tokens: map[string]map[Digest]Token{}}
}

func (m *memStore) CreateGrant(g Grant, code Digest, t Token) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.grants[g.ID] = g
	m.tokens[g.ID] = map[Digest]Token{code: t}
	return nil
}

func (m *memStore) Grant(id string) (Grant, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return Grant{}, m.fail
	}
	g, ok := m.grants[id]
	if !ok {
		return Grant{}, ErrNotFound
	}
	return g, nil
}

func (m *memStore) Grants() ([]Grant, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.grants), func(a, b Grant) int { return a.Created.Compare(b.Created) }), m.fail
}

func (m *memStore) Token(grant string, d Digest) (Token, bool, error) {
	m.mu.Lock()
	t, ok := m.tokens[grant][d]
	err := m.fail
	m.reads++
	m.mu.Unlock()
	if m.onRead != nil {
		m.onRead()
	}
	return t, ok, err
}

func (m *memStore) UpdateGrant(id string, f func(Tx) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	g, ok := m.grants[id]
	switch {
	case m.fail != nil:
		return m.fail
	case !ok:
		return ErrNotFound
	}
	tx := &memTx{grant: g, tokens: maps.Clone(m.tokens[id])}
	if err := f(tx); err != nil {
		return err
	}
	if tx.deleted {
		delete(m.grants, id)
		delete(m.tokens, id)
		return nil
	}
	m.grants[id], m.tokens[id] = tx.grant, tx.tokens
	return nil
}

func (m *memStore) DeleteGrant(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if _, ok := m.grants[id]; !ok {
		return ErrNotFound
	}
	delete(m.grants, id)
	delete(m.tokens, id)
	return nil
}

func (m *memStore) TouchGrants(used map[string]time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.saved, m.used = append(m.saved, time.Now()), append(m.used, used)
	for id, at := range used {
		if g, ok := m.grants[id]; ok {
			g.LastUsed = at
			m.grants[id] = g
		}
	}
	return nil
}

func (m *memStore) Sweep(now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, ts := range m.tokens {
		maps.DeleteFunc(ts, func(_ Digest, t Token) bool { return !now.Before(t.Expires) })
		if len(ts) == 0 {
			delete(m.grants, id)
			delete(m.tokens, id)
		}
	}
	return m.fail
}

// dump returns everything that is stored, to compare before and after.
func (m *memStore) dump() (map[string]Grant, map[string]map[Digest]Token) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ts := map[string]map[Digest]Token{}
	for id, t := range m.tokens {
		ts[id] = maps.Clone(t)
	}
	return maps.Clone(m.grants), ts
}

type memTx struct {
	grant   Grant
	tokens  map[Digest]Token
	deleted bool
}

func (x *memTx) Grant() Grant                 { return x.grant }
func (x *memTx) SetGrant(g Grant)             { x.grant = g }
func (x *memTx) Token(d Digest) (Token, bool) { t, ok := x.tokens[d]; return t, ok }
func (x *memTx) SetToken(d Digest, t Token)   { x.tokens[d] = t }
func (x *memTx) DeleteToken(d Digest)         { delete(x.tokens, d) }
func (x *memTx) Delete()                      { x.deleted = true }

func TestMemStore(t *testing.T) {
	m := newMemStore()
	if err := m.CreateGrant(Grant{ID: "g"}, Digest{1}, Token{Kind: Code}); err != nil {
		t.Fatal(err)
	}
	err := m.UpdateGrant("g", func(tx Tx) error {
		tx.SetToken(Digest{2}, Token{Kind: AccessToken})
		tx.Delete()
		return ErrUnavailable
	})
	if _, ok, _ := m.Token("g", Digest{2}); ok || err != ErrUnavailable {
		t.Errorf("a failed transaction: token kept: %v, err: %v", ok, err)
	}
}
