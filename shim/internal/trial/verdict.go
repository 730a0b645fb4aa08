// Package trial tries a key the way an MCP client would use it: it connects with
// the official SDK's client, lists the tools, and compares that with what the
// upstream answers without a key. A Verdict is the result: an Outcome for code,
// and for people a sentence that never holds the key. It is the only package
// that needs the SDK's client; no call passes through it.
package trial

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// An Outcome is the result of a trial, for code.
type Outcome string

// The outcomes of a trial.
const (
	OK          Outcome = "ok"
	Rejected    Outcome = "rejected"    // 401, 403, or an error that says the same
	Keyless     Outcome = "keyless"     // works without a key too, so the key was not checked
	Unreachable Outcome = "unreachable" // DNS, connection, TLS, timeout, or broken off
	Busy        Outcome = "busy"        // 429 or 5xx
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
	Server  string         // the upstream's own name, if it gave one
	Tools   int
	Header  endpoint.Header // the one that was used
	// LegacySSE says that the upstream speaks only the transport of revision
	// 2024-11-05.
	LegacySSE bool

	connected bool // the upstream took the client's first request
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

// Try tries t's key: it connects by server/discover, else by initialize, and
// lists the tools. If the key works, Try also connects without one, since some
// upstreams never look at it. It ends the sessions that it opens.
func (s *Tester) Try(ctx context.Context, t upstream.Target) Verdict {
	ctx, cancel := context.WithTimeout(ctx, s.limit())
	defer cancel()
	return s.try(ctx, t)
}

// TryHeaders is like Try, but if the key is rejected in the default header it
// tries the others: people seldom know which header their server wants.
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
	t = upstream.Target{URL: t.URL, Header: t.Header, Key: t.Key} // drop the header value that Ready built
	v := s.tryOnce(ctx, &t)
	v.Header = t.Header
	switch {
	case v.Outcome != OK:
		return v
	case t.Key.IsZero():
		v.Outcome, v.Words = Keyless, worksKeyless(v, &t)
		return v
	}
	// Any failure without the key shows that the key makes a difference.
	ctx, cancel := context.WithTimeout(ctx, min(keylessTime, s.limit()/4))
	defer cancel()
	bare := s.tryOnce(ctx, &upstream.Target{URL: t.URL, Header: t.Header})
	if bare.Status == http.StatusUnauthorized {
		s.Client.SetTells(&t, !bare.connected)
	}
	if bare.Outcome == OK {
		s.Client.SetTells(&t, false)
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

// tryOnce connects once and lists the tools.
func (s *Tester) tryOnce(ctx context.Context, t *upstream.Target) Verdict {
	// The last tenth of the time is for ending the session.
	limit := s.limit()
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	ctx, stop := context.WithTimeout(ctx, limit*9/10)
	defer stop()
	rec := &recorder{client: s.Client, target: t, closing: max(limit/10, 50*time.Millisecond)}
	defer rec.end()

	session, err := rec.connect(ctx, limit)
	if err != nil {
		return rec.classify(ctx, err)
	}
	defer session.Close()
	v := Verdict{Outcome: OK, LegacySSE: rec.legacy, connected: true}
	if r := session.InitializeResult(); r != nil {
		if r.ServerInfo != nil {
			v.Server = printable(r.ServerInfo.Name, t, maxServer)
		}
		s.Client.SetRevision(t, r.ProtocolVersion)
	}
	if v.Tools, err = countTools(rec.step(ctx), session); err != nil {
		failed := rec.classify(ctx, err)
		failed.Server, failed.LegacySSE, failed.connected = v.Server, v.LegacySSE, true
		if failed.Outcome != OK {
			return failed
		}
	}
	v.Status = 200
	v.Words = okWords(v, t)
	return v
}

// hasAny reports whether status is one of codes.
func hasAny(status int, codes ...int) bool { return slices.Contains(codes, status) }
