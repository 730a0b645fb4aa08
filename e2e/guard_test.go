package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// A listener is a client's transport that keeps all that it receives.
type listener struct {
	token string

	mu  sync.Mutex
	got bytes.Buffer
}

func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+l.token)
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	res.Header.Write(&l.got)
	l.mu.Unlock()
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(res.Body, l), res.Body}
	return res, nil
}

func (l *listener) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.got.Write(p)
}

func (l *listener) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.got.String()
}

// TestServerThatRepeatsItsKey has the official test server print its
// environment, in which the key stands in several forms, over both transports.
// The client gets everything but the key, and the owner is told.
func TestServerThatRepeatsItsKey(t *testing.T) {
	testenv.Slow(t)
	npmBin(t)
	t.Parallel()
	var f finder
	f.t = t
	f.add("key", apiKey)
	forms := map[string]string{
		"E2E_KEY": apiKey, "E2E_HEADER": "Authorization: Bearer " + apiKey, "E2E_URL": "https://h.example/?api_key=" + url.QueryEscape(apiKey),
		"E2E_BASIC": "Basic " + base64.StdEncoding.EncodeToString([]byte("someone:"+apiKey)),
	}
	for mode, path := range map[string]string{"streamableHttp": "/mcp", "sse": "/sse"} {
		t.Run(mode, func(t *testing.T) {
			addr := freeAddr(t)
			cmd := npmCommand(t, "mcp-server-everything", mode)
			cmd.Env = append(cmd.Env, "PORT="+portOf(t, addr))
			for name, value := range forms {
				cmd.Env = append(cmd.Env, name+"="+value)
			}
			startServer(t, cmd, addr)
			direct := environment(t, mode, "http://"+addr+path, new(listener))
			if found := f.find(direct); !slices.Equal(found, []string{"key"}) || strings.Count(direct, apiKey) < 2 {
				t.Fatalf("without us, the server answers %.300q", direct)
			}

			a := startApp(t)
			e := a.addEndpoint("Everything", newGate(t, "http://"+addr).URL+path, "")
			c := shimtest.NewOAuthClient(t, a.origin, "http://127.0.0.1:1/callback")
			c.Resource = a.url(e)
			c.Connect(shimtest.NewBrowser(t, a.origin), apiKey)
			l := &listener{token: c.Access}
			text := environment(t, mode, a.url(e), l)
			if found := f.find(text + l.all()); len(found) > 0 {
				t.Errorf("the client gets the key: %q", text)
			}
			for name, value := range forms {
				form := strings.TrimPrefix(value, "Authorization: ")
				// What stands in front of the key in base64 and in the URL stays.
				if !strings.Contains(text, `"`+name+`": "`) || !strings.Contains(text, "******") || strings.Contains(text, form) {
					t.Errorf("%s is not there with asterisks in it: %q", name, text)
				}
			}
			if len(text) != len(direct) {
				t.Errorf("the client gets %d bytes, want the %d that the server sent", len(text), len(direct))
			}
			if said := a.run("", "status"); !strings.Contains(said, "repeated keys") {
				t.Errorf("key2oauth status says %q", said)
			}
		})
	}
}

// environment calls the tool that prints the environment.
func environment(t *testing.T, mode, endpoint string, l *listener) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var tr mcp.Transport = &mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: &http.Client{Transport: l}, MaxRetries: -1}
	if mode == "sse" {
		tr = &mcp.SSEClientTransport{Endpoint: endpoint, HTTPClient: &http.Client{Transport: l}}
	}
	s, err := mcp.NewClient(&mcp.Implementation{Name: "e2e", Version: "1"}, nil).Connect(ctx, tr, &mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	res, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "get-env"})
	if err != nil || len(res.Content) != 1 {
		t.Fatalf("the tool answers %+v, %v", res, err)
	}
	return res.Content[0].(*mcp.TextContent).Text
}
