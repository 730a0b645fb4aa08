package keychain

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/key2oauth/key2oauth/shim/atomicfile"
	"github.com/key2oauth/key2oauth/shim/internal/ring"
)

// decideWithin is how long a change waits until it is known whether this run
// keeps anything, which one look at the keychain tells.
const decideWithin = 2 * probeTimeout

// AwaitDecision waits until it is known whether this run keeps anything. It
// returns ErrLocked if that takes too long.
func (k *Keychain) AwaitDecision() error {
	select {
	case <-k.decided:
		return nil
	default:
	}
	timeout := time.NewTimer(decideWithin)
	defer timeout.Stop()
	select {
	case <-k.decided:
		return nil
	case <-timeout.C:
		return ErrLocked
	}
}

// awaitAnswer waits, at the start of a run, for a keychain that is unlocked
// and about to answer.
func (k *Keychain) awaitAnswer() {
	timeout := time.NewTimer(decideWithin)
	defer timeout.Stop()
	for {
		k.mu.Lock()
		wait, changed := !k.known && k.status.State == StateWaiting && !k.closed, k.changed
		k.mu.Unlock()
		if !wait {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			return
		}
	}
}

// Need returns the master key, and makes one if there is none. A run that has
// nothing to seal does not call it, and leaves nothing in the keychain. It may
// ask the keychain, so it must not be called in a transaction. The error is
// ErrLocked, ErrClosed, or that of the disk.
func (k *Keychain) Need() (*MasterKey, error) {
	if err := k.AwaitDecision(); err != nil {
		return nil, err
	}
	k.awaitAnswer()
	k.making.Lock()
	defer k.making.Unlock()
	if m, _ := k.Master(); m != nil {
		return m, k.assure(m)
	}
	k.mu.Lock()
	m, known, closed := k.master, k.known, k.closed
	k.mu.Unlock()
	switch {
	case closed:
		return nil, ErrClosed
	case m != nil:
		return m, nil
	case !known:
		return nil, ErrLocked
	}
	if k.cfg.Mode == ModeFile {
		if err := k.rememberMode(); err != nil {
			return nil, err
		}
		m, err := makeKeyFile(filepath.Join(k.cfg.Dir, KeyFile))
		if err != nil {
			return nil, err
		}
		k.setMaster(m, Status{State: StateFile})
		return m, nil
	}
	m, err := k.store(newMasterKey(), setTimeout)
	if errors.Is(err, ErrLocked) {
		k.setUnknown(Status{State: StateLocked})
	}
	if err != nil {
		return nil, err
	}
	k.setMaster(m, Status{State: StateReady})
	return m, nil
}

// store puts a master key into this folder's own item, unless there is one in it
// already, and returns the one that is there. The caller holds making.
func (k *Keychain) store(m *MasterKey, timeout time.Duration) (*MasterKey, error) {
	own, err := k.ownItem()
	if err != nil {
		return nil, err
	}
	a := k.ring.Call(context.Background(), timeout, ring.Request{Op: ring.Set, Account: own, Key: m.text.Reveal()})
	if a.Status != ring.Found {
		k.log.Info("the keychain did not take the master key", "status", a.Status, "err", a.Words)
		return nil, ErrLocked
	}
	if m, err = parseMasterKey(a.Key.Reveal()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	}
	return m, nil
}

// LookAfter sees that the keychain still holds the master key, and stores it
// again if not. It raises no prompt.
func (k *Keychain) LookAfter() error {
	k.making.Lock()
	defer k.making.Unlock()
	if m, _ := k.Master(); m != nil {
		return k.assure(m)
	}
	return nil
}

// assure sees that the keychain still holds m, under which something is about to
// be sealed: with its item gone, that would be lost at the next start. An item
// that is missing is stored again; one that holds something else is left alone,
// and the folder takes a new one. A keychain that is locked or slow is trusted:
// it had the item before. The caller holds making.
func (k *Keychain) assure(m *MasterKey) error {
	if k.modeNow() != ModeOS || k.keepsNothing() {
		return nil
	}
	p := k.remembered()
	if p.Item != "" {
		a := k.ring.Call(context.Background(), probeTimeout, ring.Request{Op: ring.Look, Account: account(p.Item)})
		switch a.Status {
		case ring.Found:
			if kept, err := parseMasterKey(a.Key.Reveal()); err == nil && kept.Same(m) {
				return nil
			}
			p.Former, p.Item = appendNew(p.Former, p.Item), ""
			k.mu.Lock()
			k.place = p
			k.mu.Unlock()
		case ring.Missing:
		default:
			return nil
		}
	}
	kept, err := k.store(m, setTimeout)
	if err == nil && !kept.Same(m) {
		err = ErrLocked
	}
	if err != nil {
		k.setStatus(Status{State: StateReady, Words: wordsItemLost})
		return err
	}
	k.log.Warn("the keychain's item was missing or had changed; the encryption key was stored again", "service", ring.Service)
	k.setStatus(Status{State: StateReady})
	if k.cfg.Restored != nil {
		k.cfg.Restored()
	}
	return nil
}

const wordsItemLost = "The item in the keychain that holds the encryption key is gone, and the keychain does not take it back. Saved keys work until Key2OAuth quits. Unlock the keychain, and allow Key2OAuth to store its item."

// ErrNothingToKeep is what Keep returns in a run that keeps everything, or that
// was asked to keep nothing.
var ErrNothingToKeep = errors.New("there is nothing to keep: everything is kept already, or --keychain memory was asked for")

// Keep ends a run that keeps nothing. The master key goes into the keychain that
// has appeared, unless it has one: then that one is used from now on. reseal
// seals everything again under kept, keeps it, and calls adopt while no other
// record can be sealed. adopt must be called in no other case.
func (k *Keychain) Keep(reseal func(kept *MasterKey, adopt func()) error) error {
	k.making.Lock()
	defer k.making.Unlock()
	if k.Status().State != StateMemory || k.cfg.Mode != ModeOS {
		return ErrNothingToKeep
	}
	m, _ := k.Master()
	// The owner has just asked for it, so there is time for a prompt.
	kept, err := k.store(m, askTimeout)
	if err != nil {
		return err
	}
	err = reseal(kept, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.setMasterLocked(kept, Status{State: StateReady})
	})
	if err != nil {
		return err
	}
	k.cfg.Changed()
	k.wakeSeeker()
	return nil
}

// KeepInFile ends a run that keeps nothing as Keep does, but the master key goes
// into a file in the data folder, as in ModeFile, which later runs are in. One
// that is there already is used.
func (k *Keychain) KeepInFile(reseal func(kept *MasterKey, adopt func()) error) error {
	k.making.Lock()
	defer k.making.Unlock()
	if k.Status().State != StateMemory || k.cfg.Mode != ModeOS {
		return ErrNothingToKeep
	}
	path := filepath.Join(k.cfg.Dir, KeyFile)
	kept, err := readKeyFile(path, k.log)
	if err != nil {
		return err
	}
	p := k.remembered()
	p.Mode = ModeFile
	if err := k.save(p); err != nil {
		return err
	}
	if kept == nil {
		kept, _ = k.Master()
		if err := atomicfile.WriteFile(path, []byte(kept.text.Reveal()), 0o600); err != nil {
			return err
		}
	}
	err = reseal(kept, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.mode = ModeFile
		k.setMasterLocked(kept, Status{State: StateFile})
	})
	if err != nil {
		return err
	}
	k.cfg.Changed()
	k.wakeSeeker()
	return nil
}
