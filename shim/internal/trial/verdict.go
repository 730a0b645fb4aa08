// Package trial tries a key the way an MCP client would use it: it connects,
// lists the tools, and compares that with what the upstream answers to a key
// that is wrong. A Verdict is the result: an Outcome for code, and for people a
// sentence that never holds the key.
package trial

import (
	"context"
	"net/http"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// An Outcome is the result of a trial, for code.
type Outcome string

// The outcomes of a trial. Only OK says that the key is right: the upstream
// took it and was seen to refuse a wrong one.
const (
	OK          Outcome = "ok"
	Rejected    Outcome = "rejected"    // 401, 403, or an error that says the same
	Keyless     Outcome = "keyless"     // works without a key too, so the key was not checked
	Unproven    Outcome = "unproven"    // took the key, but was not seen to refuse a wrong one
	Barred      Outcome = "barred"      // refuses this computer or address, with any key
	Unreachable Outcome = "unreachable" // DNS, connection, TLS, timeout, or broken off
	Busy        Outcome = "busy"        // 429 or 5xx
	Odd         Outcome = "odd"         // JSON-RPC, but not as apps understand it
	NotMCP      Outcome = "not_mcp"     // a web page, no JSON-RPC, or nothing there
	Redirect    Outcome = "redirect"
	Refused     Outcome = "refused" // leads where no key may be sent
)

// A Verdict is the result of a trial.
type Verdict struct {
	Outcome Outcome
	Fault   upstream.Fault // of an upstream that is Unreachable
	Status  int            // of the deciding answer; 0 if there was none
	Words   string         // what happened and what to do, for people; never holds the key
	Server  string         // the upstream's own title or name, if it gave one
	Tools   int
	Header  endpoint.Header // the one that was used
	// LegacySSE says that the upstream speaks only the transport of revision
	// 2024-11-05.
	LegacySSE bool

	wants hint // what a refusal says about the header
}

// Limit is how long one trial may take.
const Limit = 20 * time.Second

// A Tester tries keys. It is safe for concurrent use.
type Tester struct {
	Client *upstream.Client
	Limit  time.Duration // for one trial; 0 means the constant Limit

	seen halves
}

// Try tries t's key. If the upstream takes it, Try also shows it a wrong key,
// since some upstreams never look at what they get. It ends the sessions that
// it opens.
func (s *Tester) Try(ctx context.Context, t upstream.Target) Verdict {
	ctx, cancel := context.WithTimeout(ctx, s.limit())
	defer cancel()
	return s.try(ctx, t)
}

// Look asks whether t's upstream answers as an MCP server does, with the key if t
// has one. It shows no wrong key and lists no tools, so OK says nothing of the
// key.
func (s *Tester) Look(ctx context.Context, t upstream.Target) Verdict {
	ctx, cancel := context.WithTimeout(ctx, s.limit())
	defer cancel()
	t = upstream.Target{URL: t.URL, Header: t.Header, Key: t.Key}
	k := s.talk(&t, new(turns))
	defer k.close(ctx)
	return k.verdict(k.begin(ctx), false)
}

func (s *Tester) limit() time.Duration {
	if s.Limit > 0 {
		return s.Limit
	}
	return Limit
}

// talk begins a conversation, whose end takes at most a tenth of the time for a
// trial.
func (s *Tester) talk(t *upstream.Target, turns *turns) *talk {
	return &talk{client: s.Client, target: t, turns: turns, closing: max(s.limit()/10, 50*time.Millisecond)}
}

func (s *Tester) try(ctx context.Context, t upstream.Target) Verdict {
	t = upstream.Target{URL: t.URL, Header: t.Header, Key: t.Key} // drop the header value that Ready built
	// The last tenth of the time is for ending the session.
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-s.limit()/10))
		defer cancel()
	}
	turns := new(turns)
	k := s.talk(&t, turns)
	defer k.close(ctx)
	x := k.begin(ctx)
	if v := k.verdict(x, false); v.Outcome != OK {
		if v.Outcome == Rejected {
			s.seen.refuse(keyOfHalf(&t), t.Key)
		}
		return v
	}
	if t.Key.IsZero() {
		x, tools := k.list(ctx)
		v := k.verdict(x, true)
		if v.Tools = tools; v.Outcome == OK {
			v.Outcome, v.Words = Keyless, worksKeyless(v, &t)
		}
		return v
	}
	return s.prove(ctx, k)
}

// prove judges a key that the upstream took in its first request, by what it
// does with a wrong one.
func (s *Tester) prove(ctx context.Context, k *talk) Verdict {
	t := k.target
	other := s.other(t, k.turns)
	stop := other.start(ctx)
	x, tools := k.list(ctx)
	v := k.verdict(x, true)
	v.Tools = tools
	other.listed <- v.Outcome == OK
	if v.Outcome == Rejected {
		s.seen.refuse(other.key, t.Key)
	}
	if v.Outcome != OK {
		// That the list is slow, or was asked for too soon, takes nothing away
		// from what the first request has shown.
		if x.status != http.StatusTooManyRequests && (x.err == nil || ctx.Err() == nil) {
			stop()
			<-other.done
			return v
		}
		if <-other.done; other.half == refusedList || other.half == open {
			return v // of an earlier trial: the first request shows nothing here
		}
		v = Verdict{Outcome: OK, Server: v.Server, Header: v.Header, LegacySSE: v.LegacySSE}
	}
	<-other.done
	v.Status = http.StatusOK
	switch other.half {
	case refusedFirst, refusedList:
		v.Words = okWords(v, t)
	case open:
		v.Outcome, v.Words = s.withoutKey(ctx, v, t, k.turns)
	default:
		v.Outcome, v.Words = Unproven, unseenWords(v, t)
	}
	return v
}

// withoutKey tells an upstream that needs no key from one that takes any.
func (s *Tester) withoutKey(ctx context.Context, v Verdict, t *upstream.Target, turns *turns) (Outcome, string) {
	k := s.talk(&upstream.Target{URL: t.URL, Header: t.Header}, turns)
	defer k.close(ctx)
	x := k.begin(ctx)
	if x.good() {
		x, _ = k.list(ctx)
	}
	if k.verdict(x, true).Outcome == OK {
		return Keyless, keylessWords(v, t)
	}
	return Unproven, anyKeyWords(v, t)
}
