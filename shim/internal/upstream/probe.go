package upstream

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/refusal"
	"github.com/key2oauth/key2oauth/shim/internal/sse"
)

// The protocol revisions in which we speak to upstreams.
const (
	Modern = "2026-07-28" // the first without sessions
	Legacy = "2025-11-25" // the last with initialize
)

// UserAgent is the User-Agent of requests that are our own, not a client's.
const UserAgent = "Key2OAuth"

const probeTime = 10 * time.Second

const (
	initializeBody = `{"jsonrpc":"2.0","id":"key2oauth-probe","method":"initialize","params":{"protocolVersion":"` + Legacy +
		`","capabilities":{},"clientInfo":{"name":"key2oauth","version":"1"}}}`
	discoverBody = `{"jsonrpc":"2.0","id":"key2oauth-probe","method":"server/discover","params":{"_meta":{` +
		`"io.modelcontextprotocol/protocolVersion":"` + Modern + `","io.modelcontextprotocol/clientInfo":{"name":"key2oauth","version":"1"},` +
		`"io.modelcontextprotocol/clientCapabilities":{}}}}`
)

// Probe asks once whether the upstream still accepts t's key. It reports true
// only for an answer that says so: every other failure may have another cause.
// It asks in the era that worked when the key was tried. Upstreams of revision
// 2024-11-05 take no POST there and may say so before they look at the key, so
// they are also asked for a stream.
func (c *Client) Probe(ctx context.Context, t Target) (rejected bool, err error) {
	v, err := c.ask(ctx, &t)
	return v == refusal.Refused, err
}

// checkLife is how long Tells trusts its memory.
const checkLife = 24 * time.Hour

// A check is what an upstream did with a probe that had no key.
type check struct {
	refused bool
	seen    time.Time
}

// Tells reports whether Probe tells t's key from none: whether the upstream
// refuses the same request without a key. It is false where that is not known.
// It asks once a day at most, since each request without a key may count there
// as a failed sign-in.
func (c *Client) Tells(ctx context.Context, t Target) bool {
	if known, ok := c.checks.get(eraKey(&t)); ok && time.Since(known.seen) < checkLife {
		return known.refused
	}
	v, err := c.ask(ctx, &Target{URL: t.URL, Header: t.Header})
	if err == nil && v != refusal.Unclear {
		c.SetTells(&t, v == refusal.Refused)
	}
	return v == refusal.Refused
}

// SetTells records what a trial learned: whether t's upstream refused the first
// request of a client that had no key.
func (c *Client) SetTells(t *Target, refused bool) {
	c.checks.learn(eraKey(t), check{refused, time.Now()})
}

// ask sends a probe and judges the answer.
func (c *Client) ask(ctx context.Context, t *Target) (refusal.Verdict, error) {
	limit := c.ProbeTime
	if limit == 0 {
		limit = probeTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	body, header := initializeBody, http.Header{}
	if _, ok := c.eras.get(eraKey(t)); ok {
		body = discoverBody
		header.Set("Mcp-Protocol-Version", Modern)
		header.Set("Mcp-Method", "server/discover")
	}
	header.Set("Content-Type", "application/json")
	header.Set("Accept", "application/json, text/event-stream")
	resp, err := c.send(ctx, t, http.MethodPost, body, header)
	if err != nil {
		return refusal.Unclear, err
	}
	v := refusal.Judge(resp.StatusCode, resp.Header.Get("Content-Type"), readAnswer(resp))
	resp.Body.Close()
	if id := resp.Header.Get("Mcp-Session-Id"); id != "" {
		c.endSession(ctx, t, id)
	}
	if v == refusal.Unclear && slices.Contains([]int{400, 404, 405}, resp.StatusCode) {
		if resp, err = c.send(ctx, t, http.MethodGet, "", http.Header{"Accept": {"text/event-stream"}}); err != nil {
			return refusal.Unclear, err
		}
		var body []byte
		if resp.StatusCode/100 != 2 { // a stream may be silent, or endless
			body = readAnswer(resp)
		}
		v = refusal.Judge(resp.StatusCode, resp.Header.Get("Content-Type"), body)
		resp.Body.Close()
	}
	return v, nil
}

// readAnswer reads the beginning of an answer. Of an event stream it is the
// first event: the stream may stay open after it.
func readAnswer(resp *http.Response) []byte {
	beginning := io.LimitReader(resp.Body, refusal.Most)
	if refusal.IsEvents(resp.Header.Get("Content-Type")) {
		_, data := sse.ReadFirst(beginning)
		return []byte("data: " + strings.ReplaceAll(data, "\n", "\ndata: ") + "\n\n")
	}
	b, _ := io.ReadAll(beginning) // what came before an error is enough
	return b
}

func (c *Client) send(ctx context.Context, t *Target, method, body string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(WithTarget(ctx, t), method, t.URL.String(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.URL.RawQuery = "" // Send adds it
	req.Header = header
	req.Header.Set("User-Agent", UserAgent)
	return c.Send(req)
}

// endSession ends a session that will not be used. It is a courtesy, so errors
// are ignored.
func (c *Client) endSession(ctx context.Context, t *Target, id string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	header := http.Header{}
	header.Set("Mcp-Session-Id", id)
	header.Set("Mcp-Protocol-Version", Legacy)
	if resp, err := c.send(ctx, t, http.MethodDelete, "", header); err == nil {
		resp.Body.Close()
	}
}

// SetRevision records the protocol revision in which t's upstream answered.
// Probe asks in the same era.
func (c *Client) SetRevision(t *Target, revision string) {
	if revision >= Modern {
		c.eras.learn(eraKey(t), revision)
	}
}

func eraKey(t *Target) pathKey { return pathKey{t.URL.Scheme, t.URL.Host, t.URL.EscapedPath()} }
