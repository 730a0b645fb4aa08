package shim_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/key2oauth/key2oauth/shim/internal/proxy"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// legacySession connects the official client as one of revision 2024-11-05.
func legacySession(t *testing.T, mcpURL, token string) *mcp.ClientSession {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	c := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	s, err := c.Connect(ctx, &mcp.SSEClientTransport{Endpoint: mcpURL, HTTPClient: &http.Client{Transport: bearer(token)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// echo calls a tool and returns its answer.
func echo(t *testing.T, s *mcp.ClientSession) (text string, isError bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	res, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"text": "hello"}})
	if err != nil {
		t.Fatal(err)
	}
	return res.Content[0].(*mcp.TextContent).Text, res.IsError
}

// TestS01LegacySSE uses an HTTP+SSE upstream on one stream, from pasting its
// key until the key is rejected and replaced.
func TestS01LegacySSE(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{LegacySSE: true, Path: "/v1/sse"})
	slug, mcpURL := p.add(up.URL, nil)
	c := p.client(mcpURL)
	c.Connect(p.browser(), up.Key()) // tries the key
	for _, entry := range []string{mcpURL, strings.TrimSuffix(mcpURL, "/mcp")} {
		s := legacySession(t, entry, c.Access)
		if got := toolCount(t, s); got != shimtest.Tools {
			t.Errorf("%s: got %d tools, want %d", entry, got, shimtest.Tools)
		}
		s.Close()
	}
	s := legacySession(t, mcpURL, c.Access)
	if text, isError := echo(t, s); text != "hello" || isError {
		t.Errorf("got %q, error %v", text, isError)
	}
	if up.Saw(c.Access) || up.Saw("k2o_msg") {
		t.Error("the upstream saw the client's token or our message URL")
	}

	_, obj := p.api("GET", "/api/slugs/"+slug, nil)
	credential := obj["credentials"].([]any)[0].(map[string]any)["id"].(string)
	up.SetKey("sk-rotated")
	if text, isError := echo(t, s); !isError || !strings.Contains(text, proxy.TextRejected) {
		t.Errorf("with a dead key: got %q, error %v", text, isError)
	}
	waitFor(t, "the endpoint to read rejected", func() bool {
		_, obj := p.api("GET", "/api/slugs/"+slug, nil)
		return obj["state"] == "rejected"
	})
	if status, out := p.api("PUT", "/api/slugs/"+slug+"/key", map[string]any{"api_key": "sk-rotated", "credential": credential}); status != http.StatusNoContent {
		t.Fatalf("PUT of the new key = %d %v", status, out)
	}
	if text, isError := echo(t, s); text != "hello" || isError {
		t.Errorf("with the new key, on the old stream: got %q, error %v", text, isError)
	}
	if log := p.log.String(); strings.Contains(log, "sessionid") || strings.Contains(log, "k2o_msg") {
		t.Errorf("a message URL is in the log: %s", log)
	}
}

// messageURL opens a legacy stream and returns the URL that its endpoint event
// names.
func (p *program) messageURL(mcpURL, token string) (url string, stream *http.Response) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), "GET", mcpURL, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	stream, err = bearer(token).RoundTrip(req)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { stream.Body.Close() })
	for in := bufio.NewScanner(stream.Body); in.Scan(); {
		if path, ok := strings.CutPrefix(in.Text(), "data: "); ok {
			return p.origin + path, stream
		}
	}
	p.t.Fatalf("GET %s = %d without an endpoint event", mcpURL, stream.StatusCode)
	return "", nil
}

func TestS07MessageURLNeedsItsToken(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{LegacySSE: true})
	_, mcpURL := p.add(up.URL, nil)
	_, otherURL := p.add(up.URL, nil)
	var tokens []string
	for _, resource := range []string{mcpURL, mcpURL, otherURL} {
		c := p.client(resource)
		c.Connect(p.browser(), up.Key())
		tokens = append(tokens, c.Access)
	}
	message, stream := p.messageURL(mcpURL, tokens[0])
	foreign := strings.Replace(message, strings.TrimPrefix(mcpURL, p.origin), strings.TrimPrefix(otherURL, p.origin), 1)
	up.Reset()
	for _, tt := range []struct {
		name, url, token string
		status           int
	}{
		{"no token", message, "", 401},
		{"bad token", message, "nonsense", 401},
		{"another endpoint's token", message, tokens[2], 401},
		{"another grant's token", message, tokens[1], 404},
		{"under another endpoint", foreign, tokens[2], 404},
	} {
		resp, body := p.post(tt.url, tt.token, initialize)
		if resp.StatusCode != tt.status {
			t.Errorf("%s: got %d %s, want %d", tt.name, resp.StatusCode, body, tt.status)
		}
		// A client compares the resource in the metadata with the URL that it
		// uses.
		want := `resource_metadata="` + strings.Replace(mcpURL, p.origin, p.origin+"/.well-known/oauth-protected-resource", 1) + `"`
		if challenge := resp.Header.Get("WWW-Authenticate"); tt.status == 401 && !strings.Contains(challenge, want) {
			t.Errorf("%s: got challenge %s, want %s", tt.name, challenge, want)
		}
	}
	if n := len(up.Requests()); n != 0 {
		t.Errorf("the upstream got %d of these", n)
	}
	if resp, body := p.post(message, tokens[0], initialize); resp.StatusCode != http.StatusAccepted {
		t.Errorf("own token: got %d %s, want 202", resp.StatusCode, body)
	}
	stream.Body.Close()
	waitFor(t, "the end of the message URL", func() bool {
		resp, _ := p.post(message, tokens[0], initialize)
		return resp.StatusCode == http.StatusNotFound
	})
}

func TestS03LegacyUpstreamElsewhere(t *testing.T) {
	p := start(t)
	thief := shimtest.NewUpstream(t, shimtest.Options{})
	up := shimtest.NewUpstream(t, shimtest.Options{LegacySSE: true})
	_, mcpURL := p.add(up.URL, nil)
	c := p.client(mcpURL)
	c.Connect(p.browser(), up.Key())
	up.Break(shimtest.LegacyEndpoint(thief.URL + "?s=secret"))
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := client.Connect(ctx, &mcp.SSEClientTransport{Endpoint: mcpURL, HTTPClient: &http.Client{Transport: bearer(c.Access)}}, nil)
	if err == nil {
		s.Close()
		t.Error("the client connected")
	}
	if ctx.Err() != nil {
		t.Error("the stream was not ended")
	}
	if n := len(thief.Requests()); n != 0 {
		t.Errorf("the other origin got %d requests, want none", n)
	}
	if log := p.log.String(); !strings.Contains(log, "a stream was ended") || strings.Contains(log, "secret") {
		t.Errorf("got log %s", log)
	}
}
