package upstream

import (
	"context"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// An Outcome is what trying a key came to.
type Outcome string

// The outcomes of a trial.
const (
	OK          Outcome = "ok"
	Rejected    Outcome = "rejected"    // 401, or 403 to everything
	Keyless     Outcome = "keyless"     // works without a key as well, so the key was not checked
	Unreachable Outcome = "unreachable" // name, connection, TLS or time
	Busy        Outcome = "busy"        // 429 or 5xx
	NotMCP      Outcome = "not_mcp"
	Redirect    Outcome = "redirect"
	Refused     Outcome = "refused" // the address is not allowed
)

// A Verdict is the result of a trial.
type Verdict struct {
	Outcome Outcome
	Status  int    // of the answer that decided; 0 if there was none
	Words   string // what happened and what to do, for people; never holds the key
	Server  string // the upstream's name for itself, if it told one
	Tools   int
	Header  endpoint.Header // that was used
}

// Try tries t's key as a client would use it.
func (c *Client) Try(ctx context.Context, t Target) Verdict { return Verdict{} }

// TryHeaders is Try, and where the default header is rejected tries the others
// on the same upstream.
func (c *Client) TryHeaders(ctx context.Context, t Target, others []endpoint.Header) Verdict {
	return Verdict{}
}

// Probe asks once whether the upstream still takes t's key.
func (c *Client) Probe(ctx context.Context, t Target) (rejected bool, err error) { return false, nil }

// Explain says in words for people why a request failed.
func Explain(err error) (words string) { return "" }
