package keychain

import (
	"context"
	"crypto/rand"

	"github.com/key2oauth/key2oauth/shim/internal/ring"
)

// A finding is what the search for the master key came to.
type finding struct {
	ring.Answer
	account string
	master  *MasterKey // nil in an answer "found" that is no master key
}

// A question is a search under way.
type question struct {
	answer chan finding
	cancel context.CancelFunc
}

// ask looks for the master key and leaves a person time to unlock the keychain.
// The caller is counted in running, which waits for this too.
func (k *Keychain) ask(ctx context.Context) *question {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	q := &question{answer: make(chan finding, 1), cancel: cancel}
	k.running.Go(func() {
		defer cancel()
		q.answer <- k.find(ctx)
	})
	return q
}

// find asks for this folder's own item. Where that does not open the folder's
// records, as in a folder of an earlier version or of a restored backup, it asks
// for the items that may.
func (k *Keychain) find(ctx context.Context) finding {
	p := k.remembered()
	f := finding{Answer: ring.Answer{Status: ring.Missing}, account: account(p.Item)}
	if p.Item != "" || !k.sealed(nil) {
		// Without an item and without records there is nothing to find. Asking
		// unlocks the keychain all the same, for what is saved later.
		f = k.get(ctx, account(p.Item))
	}
	switch {
	case f.Status != ring.Missing && f.master == nil, !k.sealed(nil), f.master != nil && k.sealed(f.master):
		return f
	}
	for _, name := range p.candidates() {
		switch c := k.get(ctx, name); {
		case c.Status == ring.Locked, c.Status == ring.Slow, c.Status == ring.Unavailable, c.Status == ring.NotSetUp:
			return c
		case c.master != nil && k.sealed(c.master):
			return k.adopt(ctx, c, f.master != nil)
		}
	}
	return f
}

func (k *Keychain) get(ctx context.Context, name string) finding {
	f := finding{Answer: k.ring.Call(ctx, askTimeout, ring.Request{Op: ring.Get, Account: name}), account: name}
	if f.Status == ring.Found {
		f.master, _ = parseMasterKey(f.Key.Reveal())
	}
	return f
}

// sealed reports whether any record of the state is under m, or, for nil,
// whether there is a sealed record at all.
func (k *Keychain) sealed(m *MasterKey) bool { return k.cfg.Sealed != nil && k.cfg.Sealed(m) }

// adopt copies the master key of c, which this folder's records are under, into
// an item of the folder's own. Nothing is overwritten: where the own item holds
// another master key, the folder takes a new one. If the copy cannot be made now,
// the next start tries again.
func (k *Keychain) adopt(ctx context.Context, c finding, taken bool) finding {
	k.making.Lock()
	defer k.making.Unlock()
	if ctx.Err() != nil {
		return c
	}
	p := k.remembered()
	if taken {
		p.Former, p.Item = appendNew(p.Former, p.Item), ""
	}
	if p.Item == "" {
		p.Item = rand.Text()
	}
	p.Mode, p.Shared = ModeOS, p.Shared || c.account == legacyAccount
	if err := k.save(p); err != nil {
		k.log.Warn("the encryption key could not be copied into an item of this folder's own", "err", err)
		return c
	}
	own := account(p.Item)
	a := k.ring.Call(ctx, setTimeout, ring.Request{Op: ring.Set, Account: own, Key: c.Key.Reveal()})
	m, err := parseMasterKey(a.Key.Reveal())
	if a.Status != ring.Found || err != nil || !m.Same(c.master) {
		k.log.Warn("the encryption key could not be copied into an item of this folder's own", "status", a.Status, "err", a.Words)
		return c
	}
	k.log.Info("copied the encryption key into an item of this folder's own", "from", c.account, "to", own)
	return finding{Answer: a, account: own, master: m}
}
