package vault

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// How long the keychain may take. askTimeout is time for a person to find his
// password; the others are for a keychain that hangs.
const (
	probeTimeout = 5 * time.Second
	setTimeout   = 20 * time.Second
	askTimeout   = 2 * time.Minute

	// decideWithin is how long a change waits until it is known whether
	// anything is kept, which is known after one look.
	decideWithin = 2 * probeTimeout
)

// A seeker looks for the master key until it is known, or known that there is
// none; and again when the keychain is found locked later.
//
// A question to a locked keychain raises the desktop's own prompt. One may be
// asked at the start. When that was dismissed, nothing asks again by itself:
// only the lock is watched.
type seeker struct {
	v      *Vault
	ask    *question // under way, or nil
	mayAsk bool
	last   ringStatus
	looks  int    // that found the same
	why    string // the last answer was of no use, in words; "" if nothing is known
}

func (s *seeker) run(ctx context.Context) {
	defer s.drop()
	for {
		if s.v.settled() {
			s.drop()
			s.last, s.looks = "", 0
		} else if s.look(ctx); ctx.Err() != nil {
			return
		}
		if !s.wait(ctx) {
			return
		}
	}
}

// look looks at the keychain once and says what it saw.
func (s *seeker) look(ctx context.Context) {
	v := s.v
	status := v.ring.call(ctx, probeTimeout, opProbe, "").Status
	if ctx.Err() != nil {
		return
	}
	if status == s.last {
		s.looks++
	} else {
		s.looks = 0
		v.log.Debug("looked at the keychain", "status", status)
	}
	if status == ringUnlocked && s.last != ringUnlocked {
		// It may have been unlocked elsewhere, and a prompt that still waits
		// is of no use.
		s.drop()
		s.mayAsk, s.why = true, ""
	}
	s.last = status

	v.decide(status)
	if v.keepsNothing() {
		v.setKeychain(Keychain{State: StateMemory, CanKeep: status == ringUnlocked || status == ringLocked})
		return
	}
	if s.mayAsk && s.ask == nil && (status == ringUnlocked || status == ringLocked) {
		s.ask, s.mayAsk = v.ring.ask(ctx), false
	}
	k := waitingFor(status, s.ask != nil)
	if s.why != "" && s.ask == nil && status == ringUnlocked {
		k.Words = s.why
	}
	v.setKeychain(k)
}

// waitingFor says what is waited for.
func waitingFor(status ringStatus, asked bool) Keychain {
	switch {
	case status == ringUnlocked && asked:
		return Keychain{State: StateWaiting}
	case status == ringUnlocked:
		return Keychain{State: StateLocked, Words: "The keychain did not give out the master key. Ask it again, and allow Key2OAuth to read its own item."}
	case status == ringLocked:
		return Keychain{State: StateLocked}
	case status == ringNotSetUp:
		return Keychain{State: StateNotSetUp}
	case status == ringUnavailable:
		return Keychain{State: StateUnavailable}
	}
	return Keychain{State: StateWaiting, Words: "The keychain does not answer. Waiting for it."}
}

// wait waits for something to happen. It reports whether to go on.
func (s *seeker) wait(ctx context.Context) bool {
	var poll <-chan time.Time
	if !s.v.settled() {
		every := s.v.cfg.PollEvery
		if s.last == ringUnavailable || s.v.keepsNothing() {
			// A session without a keychain rarely gets one.
			every *= time.Duration(1 + min(s.looks/10, 5))
		}
		timer := time.NewTimer(every)
		defer timer.Stop()
		poll = timer.C
	}
	var answered <-chan ringAnswer
	if s.ask != nil {
		answered = s.ask.answer
	}
	select {
	case <-ctx.Done():
		return false
	case <-poll:
	case <-s.v.wake:
		// A question that is under way has its prompt already.
		if s.v.unlock.Swap(false) && s.ask == nil {
			s.mayAsk = true
		}
	case a := <-answered:
		s.drop()
		s.why = s.v.takeAnswer(a)
	}
	return true
}

// drop ends a question that is under way.
func (s *seeker) drop() {
	if s.ask != nil {
		s.ask.cancel()
		s.ask = nil
	}
}

// takeAnswer takes over what the keychain has answered. If that is of no use,
// it may say why; what was merely refused, the next look puts into words.
func (v *Vault) takeAnswer(a ringAnswer) (why string) {
	switch a.Status {
	case ringMissing:
		v.setMaster(nil, Keychain{State: StateReady})
	case ringFound:
		m, err := parseMasterKey(a.key.Reveal())
		if err != nil {
			v.log.Error("the keychain's item cannot be used", "service", ringService, "err", err)
			return badItem
		}
		v.setMaster(m, Keychain{State: StateReady})
	default:
		v.log.Info("the keychain did not give out the master key", "status", a.Status, "err", a.Words)
	}
	return ""
}

const badItem = `The item "key2oauth" in the keychain is not a master key. If nobody needs it, delete it there and start again.`

// settled reports whether there is nothing to look for.
func (v *Vault) settled() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.known && v.keychain.State != StateMemory
}

// keepsNothing reports whether this run ends without a trace.
func (v *Vault) keepsNothing() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.keychain.State == StateMemory
}

// Unlock asks the keychain again, so that the desktop shows its prompt once
// more. It does not wait for the answer.
func (v *Vault) Unlock() {
	v.unlock.Store(true)
	v.wakeSeeker()
}

func (v *Vault) wakeSeeker() {
	select {
	case v.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// decide settles what a first run writes to: a keychain that is locked, slow
// or not set up is waited for; only where there is none at all nothing is kept.
func (v *Vault) decide(status ringStatus) {
	select {
	case <-v.decided:
		return
	default:
	}
	if status == ringUnavailable {
		v.setMaster(newMasterKey(), Keychain{State: StateMemory})
		v.log.Debug("nothing is kept", "meaning", v.Keychain().Words)
	} else if err := v.persist(nil); err != nil {
		v.log.Error("the state cannot be kept", "err", err)
		return
	}
	close(v.decided)
}

// awaitDecision waits until decide has spoken.
func (v *Vault) awaitDecision() error {
	select {
	case <-v.decided:
		return nil
	default:
	}
	timeout := time.NewTimer(decideWithin)
	defer timeout.Stop()
	select {
	case <-v.decided:
		return nil
	case <-timeout.C:
		return fmt.Errorf("%w: %w", oauth.ErrUnavailable, ErrLocked)
	}
}

// awaitAnswer waits, at the start of a run, for a keychain that is unlocked
// and about to answer.
func (v *Vault) awaitAnswer() {
	timeout := time.NewTimer(decideWithin)
	defer timeout.Stop()
	for {
		v.mu.RLock()
		wait, changed := !v.known && v.keychain.State == StateWaiting && !v.closed, v.changed
		v.mu.RUnlock()
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

// haveMaster sees to it that there is a master key to seal with, and makes one
// if there is none: a run that has nothing to seal leaves nothing in the
// keychain. It is called before a transaction, since it may ask the keychain.
func (v *Vault) haveMaster() error {
	if err := v.awaitDecision(); err != nil {
		return err
	}
	v.awaitAnswer()
	if v.sealer() != nil {
		return nil
	}
	v.masterMu.Lock()
	defer v.masterMu.Unlock()
	v.mu.RLock()
	m, known, closed := v.master, v.known, v.closed
	v.mu.RUnlock()
	switch {
	case closed:
		return ErrClosed
	case m != nil:
		return nil
	case !known:
		return ErrLocked
	}
	if v.cfg.Mode == ModeFile {
		m, err := makeKeyFile(filepath.Join(v.cfg.Dir, keyFile))
		if err != nil {
			return fmt.Errorf("%w: %w", oauth.ErrUnavailable, err)
		}
		v.setMaster(m, Keychain{State: StateFile})
		return nil
	}
	m, err := v.store(newMasterKey(), setTimeout)
	if err != nil {
		v.mu.Lock()
		v.known = false
		v.setKeychainLocked(Keychain{State: StateLocked})
		v.mu.Unlock()
		v.wakeSeeker()
		return err
	}
	v.setMaster(m, Keychain{State: StateReady})
	return nil
}

// sealer returns the master key, or nil. Inside a transaction, after
// haveMaster, it is there, and it is the one that all records are under.
func (v *Vault) sealer() *masterKey {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.master
}

// store puts a master key into the keychain, unless there is one already, and
// returns the one that is there.
func (v *Vault) store(m *masterKey, timeout time.Duration) (*masterKey, error) {
	a := v.ring.call(context.Background(), timeout, opSet, m.text.Reveal())
	if a.Status != ringFound {
		v.log.Info("the keychain did not take the master key", "status", a.Status, "err", a.Words)
		return nil, ErrLocked
	}
	m, err := parseMasterKey(a.key.Reveal())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	}
	return m, nil
}

// Keep ends a run that keeps nothing: the master key goes into the keychain
// that has appeared, and everything into the data folder.
func (v *Vault) Keep() error {
	v.masterMu.Lock()
	defer v.masterMu.Unlock()
	k := v.Keychain()
	if k.State != StateMemory || v.cfg.Mode != ModeOS {
		return errors.New("there is nothing to keep: everything is kept already, or --keychain memory was asked for")
	}
	// The owner has just asked for it, so there is time for a prompt.
	kept, err := v.store(v.sealer(), askTimeout)
	if err != nil {
		return err
	}
	if err := v.persist(kept); err != nil {
		return fmt.Errorf("%w: %w", oauth.ErrUnavailable, err)
	}
	v.wakeSeeker()
	return nil
}
