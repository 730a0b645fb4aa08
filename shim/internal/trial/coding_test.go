package trial

import (
	"io"
	"net/http"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/coding"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestUnknownCoding: a server whose answers no client would get is told apart
// from one that is no MCP server.
func TestUnknownCoding(t *testing.T) {
	u := shimtest.NewUpstream(t, shimtest.Options{})
	u.Break(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "zstd")
		io.WriteString(w, "opaque")
		return true
	})
	v := newTester(t).Try(t.Context(), *target(t, u, endpoint.DefaultHeader))
	check(t, v, NotMCP, 200, upstream.Explain(&coding.Error{Coding: "zstd"}))
}

// TestNoCoding: servers that name a coding which is none work as others do, as
// they do for apps.
func TestNoCoding(t *testing.T) {
	for _, coding := range []string{"identity", "none", "", "Identity, none"} {
		for _, opts := range []shimtest.Options{{}, {JSON: true}, {Stateless: true}, {LegacySSE: true}} {
			u := shimtest.NewUpstream(t, opts)
			u.AddHeader("Content-Encoding", coding)
			check(t, newTester(t).Try(t.Context(), *target(t, u, endpoint.DefaultHeader)), OK, 200)
		}
	}
}
