package shimtest

import (
	"context"
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// keyed puts the key on requests, as the shim does.
type keyed struct {
	header, value string
	next          http.RoundTripper
}

func (k keyed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(k.header, k.value)
	return k.next.RoundTrip(r)
}

// TestUpstream proves that the official client can use the stand-in server in
// every form, and that the key is really checked.
func TestUpstream(t *testing.T) {
	tests := []struct {
		name    string
		opts    Options
		header  string
		value   string
		version string // the negotiated revision
		wantErr bool
	}{
		{"stateful", Options{}, "Authorization", "Bearer " + DefaultKey, "2025-11-25", false},
		{"stateless", Options{Stateless: true}, "Authorization", "Bearer " + DefaultKey, "2026-07-28", false},
		{"JSON answers", Options{JSON: true}, "Authorization", "Bearer " + DefaultKey, "2025-11-25", false},
		{"2025-11-25 only", Options{Versions: []string{"2025-11-25"}}, "Authorization", "Bearer " + DefaultKey, "2025-11-25", false},
		{"2025-03-26 only", Options{Versions: []string{"2025-03-26"}}, "Authorization", "Bearer " + DefaultKey, "2025-03-26", false},
		{"own header", Options{Header: "X-Api-Key", Key: "k"}, "X-Api-Key", "k", "2025-11-25", false},
		{"TLS", Options{TLS: true}, "Authorization", "Bearer " + DefaultKey, "2025-11-25", false},
		{"wrong key", Options{}, "Authorization", "Bearer wrong", "", true},
		{"no prefix", Options{}, "Authorization", DefaultKey, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := NewUpstream(t, tt.opts)
			next := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: u.Pool}}
			defer next.CloseIdleConnections()
			got, err := call(t, &mcp.StreamableClientTransport{
				Endpoint:   u.URL,
				HTTPClient: &http.Client{Transport: keyed{tt.header, tt.value, next}},
				MaxRetries: -1,
			})
			if (err != nil) != tt.wantErr || got != tt.version {
				t.Errorf("agreed on %q, error %v; want %q, error %t", got, err, tt.version, tt.wantErr)
			}
			if !u.Saw(tt.value) {
				t.Error("the request with the key was not recorded")
			}
		})
	}
}

func TestUpstreamLegacySSE(t *testing.T) {
	u := NewUpstream(t, Options{LegacySSE: true})
	hc := &http.Client{Transport: keyed{"Authorization", "Bearer " + u.Key(), http.DefaultTransport}}
	if _, err := call(t, &mcp.SSEClientTransport{Endpoint: u.URL, HTTPClient: hc}); err != nil {
		t.Fatal(err)
	}
}

// call connects, lists the tools and calls one. It returns the revision.
func call(t *testing.T, tr mcp.Transport) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(ctx, tr, nil)
	if err != nil {
		return "", err
	}
	defer s.Close()
	list, err := s.ListTools(ctx, nil)
	if err != nil {
		return "", err
	}
	if len(list.Tools) != Tools {
		t.Errorf("got %d tools, want %d", len(list.Tools), Tools)
	}
	res, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"text": "hello"}})
	if err != nil {
		return "", err
	}
	if got := res.Content[0].(*mcp.TextContent).Text; got != "hello" {
		t.Errorf("echo answered %q, want %q", got, "hello")
	}
	return s.InitializeResult().ProtocolVersion, nil
}
