package trial

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/decoy"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// A half is what an upstream does with a key that is wrong. An answer to a key
// proves nothing without it: upstreams that need no key take any, and some only
// look at the form of a key until a tool is called.
type half uint8

const (
	unseen       half = iota
	refusedFirst      // the first request is refused
	refusedList       // the list of tools is refused
	open              // all is answered as with the key
)

// An otherHalf asks an upstream what it does with a wrong key, once the right
// one was taken. Such a request may count there as a failed sign-in, so a
// refusal is remembered for a day.
type otherHalf struct {
	half  half          // must be read only after done
	begun chan struct{} // closed when the first request was answered
	done  chan struct{} // closed when the upstream was asked
	// listed says whether the right key got the list of tools. Without that
	// the wrong one need not ask for it.
	listed chan bool

	tester *Tester
	key    halfKey
	target *upstream.Target
	turns  *turns
}

func (s *Tester) other(t *upstream.Target, turns *turns) *otherHalf {
	return &otherHalf{tester: s, key: keyOfHalf(t), target: t, turns: turns, begun: make(chan struct{}), done: make(chan struct{}), listed: make(chan bool, 1)}
}

// start begins to ask, and continues in the background if the upstream is slow to
// refuse.
func (o *otherHalf) start(ctx context.Context) (stop context.CancelFunc) {
	if o.half = o.tester.seen.get(o.key, o.target.Key); o.half != unseen {
		close(o.done)
		return func() {}
	}
	ctx, stop = context.WithCancel(ctx)
	go func() {
		defer close(o.done)
		defer stop()
		o.ask(ctx)
	}()
	some := o.tester.limit() / 8
	if deadline, ok := ctx.Deadline(); ok {
		some = min(some, time.Until(deadline)/4)
	}
	select {
	case <-o.begun:
	case <-time.After(some):
	}
	return stop
}

func (o *otherHalf) ask(ctx context.Context) {
	t := &upstream.Target{URL: o.target.URL, Header: o.target.Header, Key: decoy.Key(o.target.Key, o.target.Header)}
	k := o.tester.talk(t, o.turns)
	defer k.close(ctx)
	x := k.begin(ctx)
	close(o.begun)
	switch v := k.verdict(x, false); v.Outcome {
	case Rejected:
		o.learn(refusedFirst)
		o.tester.Client.SetTells(o.target, true)
		return
	case OK:
		o.tester.Client.SetTells(o.target, false)
	default:
		return
	}
	select {
	case listed := <-o.listed:
		if !listed {
			return
		}
	case <-ctx.Done():
		return
	}
	x, _ = k.list(ctx)
	switch v := k.verdict(x, true); v.Outcome {
	case Rejected:
		o.learn(refusedList)
	case OK:
		o.half = open
	}
}

func (o *otherHalf) learn(h half) {
	o.half = h
	o.tester.seen.learn(o.key, h)
}

const (
	halfLife  = 24 * time.Hour
	maxHalves = 1024
)

// A halfKey is what a remembered half holds for: an upstream, a header, and the
// beginning that keys of one kind share. An upstream may check one kind and not
// another. It is a digest, since a URL's query may hold a key.
type halfKey [sha256.Size]byte

func keyOfHalf(t *upstream.Target) halfKey {
	kind := t.Key.Reveal()
	if i := strings.IndexAny(kind[:min(len(kind), 8)], decoy.Separators); i >= 0 {
		kind = kind[:i]
	} else {
		kind = ""
	}
	return sha256.Sum256([]byte(t.URL.String() + "\x00" + strings.ToLower(t.Header.Name) + "\x00" + t.Header.Prefix + "\x00" + kind))
}

// halves are remembered.
type halves struct {
	mu  sync.Mutex
	all map[halfKey]seenHalf
}

type seenHalf struct {
	half    half
	at      time.Time
	refused [sha256.Size]byte // digest of the last key that was refused since
}

// get returns the half that is remembered, to judge a key that was taken. If it
// was refused before, the upstream has changed what it takes.
func (h *halves) get(key halfKey, taken endpoint.Secret) half {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s, ok := h.all[key]; ok && time.Since(s.at) < halfLife && s.refused != sha256.Sum256([]byte(taken.Reveal())) {
		return s.half
	}
	return unseen
}

func (h *halves) learn(key halfKey, half half) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all == nil || len(h.all) >= maxHalves {
		h.all = make(map[halfKey]seenHalf)
	}
	h.all[key] = seenHalf{half: half, at: time.Now()}
}

// refuse takes in that a key was refused.
func (h *halves) refuse(key halfKey, refused endpoint.Secret) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s, ok := h.all[key]; ok {
		s.refused = sha256.Sum256([]byte(refused.Reveal()))
		h.all[key] = s
	}
}
