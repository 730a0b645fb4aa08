package proxy

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestOfficialClient connects the official client to the official server
// through the proxy, in every form of both. The results are the same as without
// the proxy.
func TestOfficialClient(t *testing.T) {
	tests := []struct {
		name    string
		opts    shimtest.Options
		version string
	}{
		{"stateful", shimtest.Options{}, "2025-11-25"},
		{"stateless", shimtest.Options{Stateless: true}, "2026-07-28"},
		{"JSON answers", shimtest.Options{JSON: true}, "2025-11-25"},
		{"2025-03-26", shimtest.Options{Versions: []string{"2025-03-26"}}, "2025-03-26"},
		{"own header", shimtest.Options{Header: "X-Api-Key"}, "2025-11-25"},
		{"TLS and HTTP/2", shimtest.Options{TLS: true}, "2025-11-25"},
		{"slash", shimtest.Options{Path: "/mcp/"}, "2025-11-25"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			up := shimtest.NewUpstream(t, tt.opts)
			b := newBench(t, strings.TrimSuffix(up.URL, "/"))
			b.trust(up)
			if tt.opts.Header != "" {
				b.set(func(c *Call) { c.Upstream.Header = endpoint.Header{Name: tt.opts.Header} })
			}
			b.setKey(up.Key())
			if strings.HasSuffix(tt.opts.Path, "/") {
				up.Break(shimtest.SlashRedirect())
			}

			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			// The SDK delivers these separately from the result, maybe after
			// it.
			progress := make(chan string, 16)
			client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
				ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
					progress <- r.Params.Message
				}})
			s, err := client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: b.URL + "/s1/mcp", MaxRetries: -1}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if got := s.InitializeResult().ProtocolVersion; got != tt.version {
				t.Errorf("agreed on %q, want %q", got, tt.version)
			}
			list, err := s.ListTools(ctx, nil)
			if err != nil || len(list.Tools) != shimtest.Tools {
				t.Fatalf("got tools %v, %v", list, err)
			}
			text := strings.Repeat("\u00fc", 1<<17)
			params := &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"text": text}}
			res, err := s.CallTool(ctx, params)
			if err != nil || res.Content[0].(*mcp.TextContent).Text != text {
				t.Fatalf("a long echo came back changed, or %v", err)
			}
			if tt.opts.JSON {
				return // an answer that is a single document has no progress
			}
			params = &mcp.CallToolParams{Name: "stream", Arguments: map[string]any{"events": 3, "millis": 10}}
			params.SetProgressToken("p")
			if res, err := s.CallTool(ctx, params); err != nil || res.IsError {
				t.Errorf("the tool answers %v, %v", res, err)
			}
			for i := range 3 {
				select {
				case <-progress:
				case <-ctx.Done():
					t.Fatalf("got %d notifications of progress, want 3", i)
				}
			}
		})
	}
}

// trust makes the proxy accept up's certificate.
func (b *bench) trust(up *shimtest.Upstream) {
	if up.Pool != nil {
		client := upstream.New(&safedial.Guard{})
		client.TrustRoots(up.Pool)
		b.proxy.Client = client
	}
}
