package pulse

import (
	"context"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/trial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// meetTime is how long a program that adds a server without a key waits for the
// server's first answer. What takes longer shows in its state.
const meetTime = 2 * time.Second

// Meet asks a server that is about to be added, with the key if there is one,
// in the other headers too. asked is false if it did not answer in time.
func (p *Pulse) Meet(ctx context.Context, t upstream.Target, others []endpoint.Header, patient bool) (v trial.Verdict, asked bool) {
	if !t.Key.IsZero() {
		return p.cfg.Trials.TryHeaders(ctx, t, others), true
	}
	if !patient {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, meetTime)
		defer cancel()
	}
	v = p.cfg.Trials.Look(ctx, t)
	return v, ctx.Err() == nil
}

// IsMissing reports whether a verdict says that there is no MCP server.
func IsMissing(v trial.Verdict) bool {
	switch v.Outcome {
	case trial.OK, trial.Keyless, trial.Unproven, trial.Rejected:
		return false
	}
	return true
}
