package keychain

import (
	"context"
	"fmt"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/ring"
)

// How long the keychain may take. askTimeout gives a person time to find a
// password; the others are for a keychain that hangs.
const (
	probeTimeout = 5 * time.Second
	setTimeout   = 20 * time.Second
	askTimeout   = 2 * time.Minute
)

// A seeker looks for the master key until it is known, or known that there is
// none; and again when the keychain is found locked later.
//
// Asking a locked keychain makes the desktop show its own prompt. The seeker asks
// once at the start. After that prompt was dismissed, it only watches the lock,
// and asks again when the owner wants it to.
type seeker struct {
	k      *Keychain
	ask    *question // under way, or nil
	mayAsk bool
	last   ring.Status
	looks  int    // that found the same
	why    string // the last answer was of no use, in words; "" if nothing is known
}

func (s *seeker) run(ctx context.Context) {
	defer s.drop()
	for {
		if s.k.settled() {
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
	k := s.k
	status := k.ring.Call(ctx, probeTimeout, ring.Request{Op: ring.Probe}).Status
	if ctx.Err() != nil {
		return
	}
	if status == s.last {
		s.looks++
	} else {
		s.looks = 0
		k.log.Debug("looked at the keychain", "status", status)
	}
	if status == ring.Unlocked && s.last != ring.Unlocked {
		// It may have been unlocked elsewhere, and a prompt that still waits
		// is of no use.
		s.drop()
		s.mayAsk, s.why = true, ""
	}
	s.last = status

	k.decide(status)
	if k.settled() {
		return // while the keychain answered, the owner chose a file
	}
	if k.stillNothing(status == ring.Unlocked || status == ring.Locked) {
		return
	}
	if s.mayAsk && s.ask == nil && (status == ring.Unlocked || status == ring.Locked) {
		s.ask, s.mayAsk = k.ask(ctx), false
	}
	waiting := waitingFor(status, s.ask != nil)
	if s.why != "" && s.ask == nil && status == ring.Unlocked {
		waiting.Words = s.why
	}
	k.setStatus(waiting)
}

// stillNothing says whether a keychain could keep what this run has, if it keeps
// nothing.
func (k *Keychain) stillNothing(canKeep bool) bool {
	k.mu.Lock()
	if k.status.State != StateMemory {
		k.mu.Unlock()
		return false
	}
	changed := k.setStatusLocked(Status{State: StateMemory, CanKeep: canKeep})
	k.mu.Unlock()
	if changed {
		k.cfg.Changed()
	}
	return true
}

// waitingFor says what is waited for.
func waitingFor(status ring.Status, asked bool) Status {
	switch {
	case status == ring.Unlocked && asked:
		return Status{State: StateWaiting}
	case status == ring.Unlocked:
		return Status{State: StateLocked, Words: "The keychain did not give out the master key. Ask it again, and allow Key2OAuth to read its own item."}
	case status == ring.Locked:
		return Status{State: StateLocked}
	case status == ring.NotSetUp:
		return Status{State: StateNotSetUp}
	case status == ring.Unavailable:
		return Status{State: StateUnavailable}
	}
	return Status{State: StateWaiting, Words: "The keychain does not answer. Waiting for it."}
}

// wait waits for something to happen. It returns false when the seeker has to
// stop.
func (s *seeker) wait(ctx context.Context) bool {
	var poll <-chan time.Time
	if !s.k.settled() {
		every := s.k.cfg.PollEvery
		if s.last == ring.Unavailable || s.k.keepsNothing() {
			// A session without a keychain rarely gets one.
			every *= time.Duration(1 + min(s.looks/10, 5))
		}
		timer := time.NewTimer(every)
		defer timer.Stop()
		poll = timer.C
	}
	var answered <-chan finding
	if s.ask != nil {
		answered = s.ask.answer
	}
	select {
	case <-ctx.Done():
		return false
	case <-poll:
	case <-s.k.wake:
		// A question that is under way has its prompt already.
		if s.k.unlock.Swap(false) && s.ask == nil {
			s.mayAsk = true
		}
	case a := <-answered:
		s.drop()
		s.why = s.k.takeAnswer(a)
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
func (k *Keychain) takeAnswer(f finding) (why string) {
	switch {
	case f.Status == ring.Missing:
		k.setMaster(nil, Status{State: StateReady})
	case f.Status == ring.Found && f.master == nil:
		k.log.Error("the keychain's item cannot be used", "service", ring.Service, "account", f.account)
		return fmt.Sprintf(TextBadItem, f.account)
	case f.Status == ring.Found:
		k.setMaster(f.master, Status{State: StateReady})
	default:
		k.log.Info("the keychain did not give out the master key", "status", f.Status, "err", f.Words)
	}
	return ""
}

// TextBadItem takes the account of an item that is left alone.
const TextBadItem = `The item "key2oauth" (%s) in the keychain is not a master key. If you don't need it, delete it there and start again.`

// decide settles whether an undecided run keeps anything. A keychain that is
// locked, slow or not set up is waited for; only where there is none, nothing
// is kept.
func (k *Keychain) decide(status ring.Status) {
	select {
	case <-k.decided:
		return
	default:
	}
	if status == ring.Unavailable {
		k.setMaster(newMasterKey(), Status{State: StateMemory})
		k.log.Debug("nothing is kept", "meaning", k.Status().Words)
	} else if err := k.cfg.Keep(); err != nil {
		k.log.Error("the state cannot be kept", "err", err)
		return
	} else {
		k.noteMode()
	}
	close(k.decided)
}
