package tunnel

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// A Want is what the owner asks of a Supervisor.
type Want struct {
	Tunnel Tunnel // nil means none
	Paused bool   // closed, but not forgotten
	// Known is the origin that clients were given, or "". A tunnel that may
	// choose asks for it again, and Status.Was names it if another one came.
	Known string
}

// A Supervisor keeps one tunnel open. Its exported fields must not change once
// Run was called.
type Supervisor struct {
	// Serve serves what comes through the tunnel until ctx ends or ln is
	// closed. It is called each time the tunnel opens, and never twice at the
	// same time. The Supervisor closes ln.
	//
	// An http.Server that serves ln must have no WriteTimeout, because ngrok's
	// connections cannot stop a write that waits for its reader. When ctx ends
	// Serve must call Shutdown, and give up on it after DrainTime: closing the
	// tunnel ends the connections that are left. Server.Close is never needed.
	// Serve must return soon after that.
	Serve func(ctx context.Context, ln net.Listener, f Front) error
	// Notify is called with each Status, from one goroutine. Of those that come
	// while it runs, it gets only the last.
	Notify func(Status)
	Log    *slog.Logger // nil logs nothing
	// Watch tells of sleep and of other networks. The caller that sets it runs it; nil
	// means one of the Supervisor's own.
	Watch *Watch

	// Pace is for tests.
	Pace Pace

	once   sync.Once
	poke   chan struct{} // holds one when Notify has news
	kicks  chan struct{} // holds one when the tunnel must be tried again now
	nets   chan struct{} // holds one when the network changed
	sleeps chan struct{} // holds one when the computer slept
	mu     sync.Mutex    // never held while Notify, Serve or a Tunnel runs
	want   Want
	cancel context.CancelFunc // ends the work for want
	known  string             // the origin to ask for
	asked  int                // counts the calls of Set that changed something
	shown  int                // the value of asked that status is about
	moved  chan struct{}      // closed with the next change of status
	held   time.Time          // since when the address is held elsewhere; used by Run alone
	status Status
}

// A Pace is how fast a Supervisor works. Tests set it; a zero field means the
// usual value.
type Pace struct {
	MinWait, MaxWait time.Duration // between attempts: 1 s, doubled up to 30 s
	HeldLong         time.Duration // until an address held elsewhere is said to be in use: 90 s
	Drain            time.Duration // DrainTime
	Look             time.Duration // between looks at the clock and the networks: 5 s
	Now              func() time.Time
	Addrs            func() ([]net.Addr, error)
	Changed          func() // called after each change of Status; none is left out
}

// DrainTime is how long a closing tunnel waits for requests to be answered.
const DrainTime = 3 * time.Second

const (
	returnTime = 2 * time.Second // for Serve to return after its connections ended
	steadyTime = time.Minute     // after which a tunnel counts as working
)

func (s *Supervisor) init() {
	s.once.Do(func() {
		s.poke, s.kicks = make(chan struct{}, 1), make(chan struct{}, 1)
		s.nets, s.sleeps = make(chan struct{}, 1), make(chan struct{}, 1)
		s.status = Status{Provider: ProviderOff, State: Off, Words: WordsOff, Since: time.Now()}
		if s.Pace.MinWait == 0 {
			s.Pace.MinWait, s.Pace.MaxWait = time.Second, 30*time.Second
		}
		if s.Pace.HeldLong == 0 {
			s.Pace.HeldLong = 90 * time.Second
		}
		if s.Pace.Drain == 0 {
			s.Pace.Drain = DrainTime
		}
		if s.Log == nil {
			s.Log = slog.New(slog.DiscardHandler)
		}
	})
}

// listen signals what the Watch tells until ctx ends.
func (s *Supervisor) listen(ctx context.Context) {
	w := s.Watch
	if w == nil {
		w = &Watch{every: s.Pace.Look, now: s.Pace.Now, addrs: s.Pace.Addrs}
	}
	w.Tell(func(slept bool) {
		if slept {
			signal(s.sleeps)
		} else {
			signal(s.nets)
		}
	})
	if s.Watch == nil {
		w.Run(ctx)
	}
}

// Set replaces what the owner wants. A tunnel that is no longer wanted is closed.
// Set does not wait for that.
func (s *Supervisor) Set(w Want) {
	s.init()
	s.mu.Lock()
	defer s.mu.Unlock()
	same := w.Tunnel == s.want.Tunnel && w.Paused == s.want.Paused
	if w.Tunnel != s.want.Tunnel || w.Known != s.want.Known {
		s.known = w.Known
	}
	s.want = w
	if !same {
		s.asked++
		if s.cancel != nil {
			s.cancel()
		}
	}
}

// Settled waits until the outcome of the last Set is known, good or bad, or until
// ctx ends. It returns the status at that time.
func (s *Supervisor) Settled(ctx context.Context) Status {
	s.init()
	for {
		s.mu.Lock()
		st, known := s.status, s.shown == s.asked && s.status.State != Connecting
		if s.moved == nil {
			s.moved = make(chan struct{})
		}
		moved := s.moved
		s.mu.Unlock()
		if known {
			return st
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return st
		}
	}
}

// Reconnect ends any wait and tries again now. An open tunnel gets a new
// connection.
func (s *Supervisor) Reconnect() { s.init(); signal(s.kicks) }

// Status returns how the tunnel is.
func (s *Supervisor) Status() Status {
	s.init()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Run keeps the tunnel as it is wanted until ctx ends, then closes it and
// returns.
func (s *Supervisor) Run(ctx context.Context) {
	s.init()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	signal(s.poke) // Notify gets the first status too
	wg.Go(func() { s.notify(ctx) })
	wg.Go(func() { s.listen(ctx) })
	for ctx.Err() == nil {
		s.mu.Lock()
		wctx, cancel := context.WithCancel(ctx)
		w, asked := s.want, s.asked
		s.cancel = cancel
		s.mu.Unlock()
		s.keep(wctx, w, asked)
		cancel()
	}
}

// signal puts a mark into c that stays until it is received.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// drop takes back marks that signal put in.
func drop(marks ...chan struct{}) {
	for _, c := range marks {
		select {
		case <-c:
		default:
		}
	}
}

func (s *Supervisor) notify(ctx context.Context) {
	for {
		select {
		case <-s.poke:
			if s.Notify != nil {
				s.Notify(s.Status())
			}
		case <-ctx.Done():
			return
		}
	}
}

// show changes the status by f, which is called with mu held.
func (s *Supervisor) show(f func(*Status)) {
	s.mu.Lock()
	last := s.status
	f(&s.status)
	if s.status.State != last.State {
		s.status.Since = time.Now()
	}
	same := s.status == last
	if s.moved != nil {
		close(s.moved)
		s.moved = nil
	}
	s.mu.Unlock()
	if same {
		return
	}
	signal(s.poke)
	if s.Pace.Changed != nil {
		s.Pace.Changed()
	}
}

// settle shows a state in which nothing is wrong.
func (s *Supervisor) settle(state State, words string, t Tunnel) {
	s.show(func(st *Status) {
		*st = Status{Provider: provider(t), State: state, Words: words, Since: st.Since}
	})
}

// begin shows the first state of the Want that Set numbered asked. Status and
// number change together: with the new number and the old status, Settled would
// take the end of the Want before for the outcome of this one.
func (s *Supervisor) begin(asked int, state State, words string, t Tunnel) {
	s.show(func(st *Status) {
		s.shown = asked
		*st = Status{Provider: provider(t), State: state, Words: words, Since: st.Since}
	})
}

// showProblem shows what is wrong.
func (s *Supervisor) showProblem(state State, p Problem, retry time.Time) {
	s.show(func(st *Status) {
		st.State, st.Code, st.Words, st.Next, st.Link, st.Whose, st.Retry = state, p.Code, p.Words, p.Next, p.Link, p.Whose, retry
	})
}

func provider(t Tunnel) string {
	if t == nil {
		return ProviderOff
	}
	return t.Provider()
}

// keep carries out w until ctx ends.
func (s *Supervisor) keep(ctx context.Context, w Want, asked int) {
	switch {
	case w.Tunnel == nil:
		s.begin(asked, Off, WordsOff, nil)
		<-ctx.Done()
		return
	case w.Paused:
		s.begin(asked, Paused, WordsPaused, w.Tunnel)
		<-ctx.Done()
		return
	}
	s.begin(asked, Connecting, connectingWords, w.Tunnel)
	drop(s.kicks, s.nets, s.sleeps) // they came before this Want
	wait := s.Pace.MinWait
	s.held = time.Time{}
	for {
		opened := time.Now()
		err := s.generation(ctx, w)
		if ctx.Err() != nil {
			return
		}
		// A permanent failure is shown until it has passed. Each attempt in vain
		// does not report it again.
		failed := s.Status().State == Failed
		if time.Since(opened) > steadyTime {
			wait = s.Pace.MinWait
		}
		p := s.problem(err)
		switch {
		case errors.Is(err, ErrAgain):
			// This was requested, so it does not count as one more failure.
			// ngrok may keep the old session for a moment.
			wait = s.Pace.MinWait
			s.settle(Connecting, connectingWords, w.Tunnel)
			continue
		case p.Permanent:
			s.showProblem(Failed, p, time.Time{})
			if s.await(ctx, p) {
				s.settle(Connecting, connectingWords, w.Tunnel)
			}
			wait = s.Pace.MinWait
			continue
		}
		if !failed {
			s.showProblem(Retrying, p, time.Now().Add(wait))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
			wait = min(2*wait, s.Pace.MaxWait)
			continue
		case <-s.kicks:
			if failed {
				s.settle(Connecting, connectingWords, w.Tunnel)
			}
		case <-s.nets:
		case <-s.sleeps:
		}
		wait = s.Pace.MinWait
	}
}

// problem says what err means. For an address that is held elsewhere, that
// depends on how long it has been held.
func (s *Supervisor) problem(err error) Problem {
	f := Classify(err)
	s.Log.Debug("tunnel", "code", f.Problem.Code, "err", f)
	switch {
	case f.Problem.Cause != "334":
		s.held = time.Time{}
	case s.held.IsZero():
		s.held = time.Now()
	case time.Since(s.held) >= s.Pace.HeldLong:
		return ProblemOf(CauseHeldLong)
	}
	return f.Problem
}

// generation opens the tunnel, serves, and closes it again. It always returns
// an error.
func (s *Supervisor) generation(ctx context.Context, w Want) error {
	ln, origin, err := s.open(ctx, w.Tunnel)
	if err != nil {
		return err
	}
	lk, _ := ln.(Link)
	s.mu.Lock()
	s.known = origin
	s.mu.Unlock()

	sctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	served := make(chan error, 1)
	go func() { served <- s.Serve(sctx, ln, Front{origin, w.Tunnel.ClientHeader()}) }()
	s.showOnline(w, origin, lk)

	err = s.attend(ctx, w, lk, origin, served)
	s.close(ln, lk, stop, served)
	return err
}

// open opens t. A kick interrupts it with ErrAgain.
func (s *Supervisor) open(ctx context.Context, t Tunnel) (net.Listener, string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	kicked := make(chan struct{})
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-s.kicks:
			close(kicked)
			cancel()
		case <-done:
		}
	})
	s.mu.Lock()
	known := s.known
	s.mu.Unlock()
	ln, origin, err := t.Open(ctx, known)
	close(done)
	wg.Wait()
	select {
	case <-kicked:
		if err != nil {
			return nil, "", ErrAgain
		}
	default:
	}
	return ln, origin, err
}

// attend watches an open tunnel until it has to be closed, and returns why. If
// Serve has ended, its result is put back into served.
func (s *Supervisor) attend(ctx context.Context, w Want, lk Link, origin string, served chan error) error {
	var changes <-chan struct{}
	if lk != nil {
		changes = lk.Changes()
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-served:
			served <- err
			if lk != nil {
				if st := lk.State(); st.Err != nil {
					return st.Err
				}
			}
			return NewFault(CauseServeEnded, err)
		case <-s.kicks:
			if lk == nil || !lk.Kick() {
				return ErrAgain
			}
		case <-s.sleeps:
			if lk != nil && !lk.Kick() {
				return ErrAgain
			}
		case <-s.nets:
			if lk != nil && !lk.Alive() && !lk.Kick() {
				return ErrAgain
			}
		case <-changes:
			st := lk.State()
			if st.Online {
				s.showOnline(w, origin, lk)
				continue
			}
			p := s.problem(st.Err)
			if p.Permanent || errors.Is(st.Err, ErrAgain) {
				return st.Err
			}
			s.showProblem(Retrying, p, st.Retry)
		}
	}
}

func (s *Supervisor) showOnline(w Want, origin string, lk Link) {
	words, st := listeningWords, LinkState{}
	if lk != nil {
		words, st = onlineWords, lk.State()
	}
	s.show(func(status *Status) {
		*status = Status{
			Provider: provider(w.Tunnel), State: Online, Words: words, Origin: origin,
			Account: st.Account, Plan: st.Plan, Region: st.Region, Since: status.Since,
		}
		if w.Known != "" && w.Known != origin {
			status.Was = w.Known
		}
	})
}

// close closes an open tunnel: first it stops taking connections, then it waits
// for requests that are being answered, then it ends everything.
func (s *Supervisor) close(ln net.Listener, lk Link, stop context.CancelFunc, served chan error) {
	end := time.After(s.Pace.Drain)
	ln.Close()
	stop()
	select {
	case <-served:
		served <- nil
	case <-end:
	}
	if lk != nil {
		lk.Disconnect()
	}
	select {
	case <-served:
	case <-time.After(returnTime):
		s.Log.Warn("what served the tunnel did not return")
	}
}
