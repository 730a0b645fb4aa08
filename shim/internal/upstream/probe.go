package upstream

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
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
// only for a 401: every other failure may have another cause. It asks in the
// era that worked when the key was tried. Upstreams of revision 2024-11-05 take
// no POST there and may say so before they look at the key, so they are also
// asked for a stream.
func (c *Client) Probe(ctx context.Context, t Target) (rejected bool, err error) {
	limit := c.ProbeTime
	if limit == 0 {
		limit = probeTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	body, header := initializeBody, http.Header{}
	if _, ok := c.eras.get(eraKey(&t)); ok {
		body = discoverBody
		header.Set("Mcp-Protocol-Version", Modern)
		header.Set("Mcp-Method", "server/discover")
	}
	header.Set("Content-Type", "application/json")
	header.Set("Accept", "application/json, text/event-stream")
	resp, err := c.send(ctx, &t, http.MethodPost, body, header)
	if err != nil {
		return false, err
	}
	drop(resp)
	if id := resp.Header.Get("Mcp-Session-Id"); id != "" {
		c.endSession(ctx, &t, id)
	}
	if slices.Contains([]int{400, 404, 405}, resp.StatusCode) {
		if resp, err = c.send(ctx, &t, http.MethodGet, "", http.Header{"Accept": {"text/event-stream"}}); err != nil {
			return false, err
		}
		resp.Body.Close() // not read first: a stream may be silent, or endless
	}
	return resp.StatusCode == http.StatusUnauthorized, nil
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
