package keychain

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/ring"
)

// A memoryRing is a keychain that is unlocked, and in memory.
type memoryRing struct {
	mu    sync.Mutex
	items map[string]string
}

func (r *memoryRing) serve(req ring.Request) ring.Reply {
	r.mu.Lock()
	defer r.mu.Unlock()
	key, ok := r.items[req.Account]
	switch {
	case req.Op == ring.Probe:
		return ring.Reply{Status: ring.Unlocked}
	case req.Op == ring.Delete:
		delete(r.items, req.Account)
		return ring.Reply{Status: ring.Missing}
	case !ok && req.Op == ring.Set:
		r.items[req.Account] = req.Key
		return ring.Reply{Status: ring.Found, Key: req.Key}
	case !ok:
		return ring.Reply{Status: ring.Missing}
	}
	return ring.Reply{Status: ring.Found, Key: key}
}

// openOn opens a Keychain on a ring, with one record that is sealed under a
// master key, or none.
func openOn(t *testing.T, r *memoryRing, dir string, under *MasterKey) *Keychain {
	t.Helper()
	k, err := Open(Config{
		Dir: dir, PollEvery: time.Millisecond,
		Sealed: func(m *MasterKey) bool { return under != nil && (m == nil || m.Same(under)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	k.ring = ring.Of(r.serve)
	k.Start(t.Context())
	t.Cleanup(k.Close)
	for deadline := time.Now().Add(time.Minute); k.Status().State != StateReady; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("Status = %+v", k.Status())
		}
	}
	return k
}

// The item that all folders of earlier versions shared is adopted only by a
// folder whose records it opens, and by none is it changed or deleted.
func TestSharedItem(t *testing.T) {
	shared, other := newMasterKey(), newMasterKey()
	for _, tt := range []struct {
		name    string
		under   *MasterKey // the folder's records
		adopted bool
		left    int // sentences about it after Delete
	}{
		{"a folder without records", nil, false, 0},
		{"a folder with other records", other, false, 0},
		{"a folder of an earlier version", shared, true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &memoryRing{items: map[string]string{legacyAccount: shared.text.Reveal()}}
			dir := t.TempDir()
			k := openOn(t, r, dir, tt.under)
			if m, known := k.Master(); !known || m.Same(shared) != tt.adopted {
				t.Errorf("the master key is known: %v, and the shared one: %v", known, m.Same(shared))
			}
			if own := k.Owned().Items; (len(own) == 1) != tt.adopted || tt.adopted && r.items[own[0]] != shared.text.Reveal() {
				t.Errorf("the folder owns %q of %q", own, slices.Collect(maps.Keys(r.items)))
			}
			k.Close()
			left, err := k.Delete()
			if err != nil || len(left) != tt.left {
				t.Errorf("Delete = %q, %v", left, err)
			}
			if len(r.items) != 1 || r.items[legacyAccount] != shared.text.Reveal() {
				t.Errorf("left in the keychain are %q", slices.Collect(maps.Keys(r.items)))
			}
			if entries, _ := os.ReadDir(dir); len(entries) > 0 {
				t.Errorf("left is %s", entries[0].Name())
			}
		})
	}
}

// FuzzPlace: the file may hold anything; ids are those of items of ours, and what
// was read is written the same way.
func FuzzPlace(f *testing.F) {
	f.Add([]byte(`{"mode":"os","item":"ABCDEFGHIJKLMNOPQRSTUVWXYZ","folder":"/x","former":["ABCDEFGHIJKLMNOPQRSTUVWXY2"]}`))
	f.Add([]byte(`{"item":"master key"}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := parsePlace(b)
		if !ok {
			if p.Item != "" || len(p.own()) > 0 {
				t.Errorf("got %+v from what cannot be read", p)
			}
			return
		}
		for _, name := range p.own() {
			if !strings.HasPrefix(name, legacyAccount+" ") || len(name) != len(account(strings.Repeat("A", 26))) {
				t.Errorf("the folder owns the item %q", name)
			}
		}
		q, ok := parsePlace(p.encode())
		if !ok || q.Item != p.Item || !slices.Equal(q.Former, p.Former) || !slices.Equal(q.Others, p.Others) {
			t.Errorf("got %+v, want %+v", q, p)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, PlaceFile), b, 0o600); err != nil {
			t.Fatal(err)
		}
		readPlace(dir, b)
	})
}
