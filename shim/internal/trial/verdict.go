// Package trial tries a key as a client of MCP would use it: it connects with
// the official SDK's client, lists the tools, and compares the answer with what
// the upstream says to no key at all. A Verdict holds what came of it, for code
// as an Outcome and for people as a sentence without the key. It is the only
// package that needs the SDK's client; calls do not pass here.
package trial

import (
	"context"
	"slices"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// An Outcome is what trying a key came to.
type Outcome string

// The outcomes of a trial.
const (
	OK          Outcome = "ok"
	Rejected    Outcome = "rejected"    // 401 or 403, or words to that effect
	Keyless     Outcome = "keyless"     // works without a key as well, so the key was not checked
	Unreachable Outcome = "unreachable" // name, connection, TLS, time, broken off
	Busy        Outcome = "busy"        // 429 or 5xx
	NotMCP      Outcome = "not_mcp"     // a web page, no JSON-RPC, nothing there
	Redirect    Outcome = "redirect"
	Refused     Outcome = "refused" // leads to where no key may be sent
)

// A Verdict is the result of a trial.
type Verdict struct {
	Outcome Outcome
	Fault   upstream.Fault // of an upstream that is Unreachable
	Status  int            // of the answer that decided; 0 if there was none
	Words   string         // what happened and what to do, for people; never holds the key
	Server  string         // the upstream's name for itself, if it told one
	Tools   int
	Header  endpoint.Header // that was used
	// LegacySSE says that the upstream speaks only the transport of revision
	// 2024-11-05.
	LegacySSE bool
}

const (
	trialTime   = 20 * time.Second
	keylessTime = 5 * time.Second
)

// A Tester tries keys. It is safe for concurrent use.
type Tester struct {
	Client *upstream.Client
	Limit  time.Duration // for one trial; 0 means 20 seconds
}

// Try tries t's key as a client would use it: it connects by server/discover,
// else by initialize, and lists the tools. A key that works is checked against
// the upstream's answer to no key at all, since some upstreams never ask. The
// sessions that it opens are ended.
func (s *Tester) Try(ctx context.Context, t upstream.Target) Verdict {
	ctx, cancel := context.WithTimeout(ctx, s.limit())
	defer cancel()
	return s.try(ctx, t)
}

// TryHeaders is Try, but where the default header is rejected it tries others
// on the same upstream, since people seldom know which one theirs wants.
// Verdict.Header is the one that worked, else t's.
func (s *Tester) TryHeaders(ctx context.Context, t upstream.Target, others []endpoint.Header) Verdict {
	ctx, cancel := context.WithTimeout(ctx, s.limit())
	defer cancel()
	first := s.try(ctx, t)
	if first.Outcome != Rejected || t.Header != endpoint.DefaultHeader || t.Key.IsZero() {
		return first
	}
	for _, h := range others {
		if h == t.Header || ctx.Err() != nil {
			continue
		}
		if v := s.try(ctx, upstream.Target{URL: t.URL, Header: h, Key: t.Key}); v.Outcome == OK {
			v.Words += headerWords(h)
			return v
		}
	}
	return first
}

func (s *Tester) try(ctx context.Context, t upstream.Target) Verdict {
	t = upstream.Target{URL: t.URL, Header: t.Header, Key: t.Key} // without what Ready made for another key
	v := s.attempt(ctx, &t)
	v.Header = t.Header
	switch {
	case v.Outcome != OK:
		return v
	case t.Key.IsZero():
		v.Outcome, v.Words = Keyless, worksKeyless(v, &t)
		return v
	}
	// Whatever goes wrong without the key, the key has made a difference.
	ctx, cancel := context.WithTimeout(ctx, min(keylessTime, s.limit()/4))
	defer cancel()
	if bare := s.attempt(ctx, &upstream.Target{URL: t.URL, Header: t.Header}); bare.Outcome == OK {
		v.Outcome, v.Words = Keyless, keylessWords(v, &t)
	}
	return v
}

func (s *Tester) limit() time.Duration {
	if s.Limit > 0 {
		return s.Limit
	}
	return trialTime
}

// attempt uses the upstream once, as a client would.
func (s *Tester) attempt(ctx context.Context, t *upstream.Target) Verdict {
	// The last tenth belongs to ending the session.
	limit := s.limit()
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	ctx, stop := context.WithTimeout(ctx, limit*9/10)
	defer stop()
	a := &attempt{client: s.Client, target: t, closing: max(limit/10, 50*time.Millisecond)}
	defer a.end()

	session, err := a.connect(ctx, limit)
	if err != nil {
		return a.classify(ctx, err)
	}
	defer session.Close()
	v := Verdict{Outcome: OK, LegacySSE: a.legacy}
	if r := session.InitializeResult(); r != nil {
		if r.ServerInfo != nil {
			v.Server = printable(r.ServerInfo.Name, t, maxServer)
		}
		s.Client.SetRevision(t, r.ProtocolVersion)
	}
	if v.Tools, err = countTools(a.step(ctx), session); err != nil {
		failed := a.classify(ctx, err)
		failed.Server, failed.LegacySSE = v.Server, v.LegacySSE
		if failed.Outcome != OK {
			return failed
		}
	}
	v.Status = 200
	v.Words = okWords(v, t)
	return v
}

// hasAny reports whether one of codes is status.
func hasAny(status int, codes ...int) bool { return slices.Contains(codes, status) }
