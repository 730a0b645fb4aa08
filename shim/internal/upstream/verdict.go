package upstream

import (
	"context"
	"slices"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
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
	Fault   Fault  // of an upstream that is Unreachable
	Status  int    // of the answer that decided; 0 if there was none
	Words   string // what happened and what to do, for people; never holds the key
	Server  string // the upstream's name for itself, if it told one
	Tools   int
	Header  endpoint.Header // that was used
	// LegacySSE says that the upstream speaks only the transport of revision
	// 2024-11-05.
	LegacySSE bool
}

const (
	trialTime   = 20 * time.Second
	probeTime   = 10 * time.Second
	keylessTime = 5 * time.Second
)

// Try tries t's key as a client would use it: it connects by server/discover,
// else by initialize, and lists the tools. A key that works is checked against
// the upstream's answer to no key at all, since some upstreams never ask. The
// sessions that it opens are ended.
func (c *Client) Try(ctx context.Context, t Target) Verdict {
	ctx, cancel := context.WithTimeout(ctx, c.trialTime())
	defer cancel()
	return c.try(ctx, t)
}

// TryHeaders is Try, but where the default header is rejected it tries others
// on the same upstream, since people seldom know which one theirs wants.
// Verdict.Header is the one that worked, else t's.
func (c *Client) TryHeaders(ctx context.Context, t Target, others []endpoint.Header) Verdict {
	ctx, cancel := context.WithTimeout(ctx, c.trialTime())
	defer cancel()
	first := c.try(ctx, t)
	if first.Outcome != Rejected || t.Header != endpoint.DefaultHeader || t.Key.IsZero() {
		return first
	}
	for _, h := range others {
		if h == t.Header || ctx.Err() != nil {
			continue
		}
		if v := c.try(ctx, Target{URL: t.URL, Header: h, Key: t.Key}); v.Outcome == OK {
			v.Words += headerWords(h)
			return v
		}
	}
	return first
}

func (c *Client) try(ctx context.Context, t Target) Verdict {
	t.value = nil // it may have been made for another key
	v := c.attempt(ctx, &t)
	v.Header = t.Header
	switch {
	case v.Outcome != OK:
		return v
	case t.Key.IsZero():
		v.Outcome, v.Words = Keyless, worksKeyless(v, &t)
		return v
	}
	// Whatever goes wrong without the key, the key has made a difference.
	ctx, cancel := context.WithTimeout(ctx, min(keylessTime, c.trialTime()/4))
	defer cancel()
	if bare := c.attempt(ctx, &Target{URL: t.URL, Header: t.Header}); bare.Outcome == OK {
		v.Outcome, v.Words = Keyless, keylessWords(v, &t)
	}
	return v
}

func (c *Client) trialTime() time.Duration {
	if c.TrialTime > 0 {
		return c.TrialTime
	}
	return trialTime
}

// attempt uses the upstream once, as a client would.
func (c *Client) attempt(ctx context.Context, t *Target) Verdict {
	// The last tenth belongs to ending the session.
	limit := c.trialTime()
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	ctx, stop := context.WithTimeout(ctx, limit*9/10)
	defer stop()
	a := &attempt{client: c, target: t, closing: max(limit/10, 50*time.Millisecond)}
	defer a.end()

	s, err := a.connect(ctx, limit)
	if err != nil {
		return a.classify(ctx, err)
	}
	defer s.Close()
	v := Verdict{Outcome: OK, LegacySSE: a.legacy}
	if r := s.InitializeResult(); r != nil {
		if r.ServerInfo != nil {
			v.Server = cleanName(r.ServerInfo.Name, t)
		}
		if r.ProtocolVersion >= modern {
			c.eras.learn(eraKey(t), r.ProtocolVersion)
		}
	}
	if v.Tools, err = countTools(a.step(ctx), s); err != nil {
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

func eraKey(t *Target) pathKey { return pathKey{t.URL.Scheme, t.URL.Host, t.URL.EscapedPath()} }

// hasAny reports whether one of codes is status.
func hasAny(status int, codes ...int) bool { return slices.Contains(codes, status) }
