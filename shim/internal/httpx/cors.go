package httpx

import (
	"net/http"
	"slices"
	"strings"
)

const (
	corsMethods = "GET, POST, DELETE, OPTIONS"
	corsHeaders = "Authorization, Content-Type, Accept, Last-Event-ID, MCP-Protocol-Version, Mcp-Session-Id, Mcp-Method, Mcp-Name, ngrok-skip-browser-warning"
	maxEchoed   = 64
)

// Shared by all answers. Capacity equals length, so an append makes a copy.
var (
	corsAny    = []string{"*"}
	corsExpose = []string{"WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version, Retry-After"}
)

// CORS lets pages of any origin use next, and read its errors. It is for routes
// without cookies, where a page can do no more than its author could without a
// browser; never for authorize, consent and administration. OPTIONS is answered
// here, before any authentication: browsers send none with a preflight.
func CORS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Access-Control-Allow-Origin"] = corsAny
		if r.Method == http.MethodOptions {
			h.Set("Access-Control-Allow-Methods", corsMethods)
			h.Set("Access-Control-Allow-Headers", allowedHeaders(r))
			h.Set("Access-Control-Max-Age", "600")
			h.Set("Vary", "Access-Control-Request-Headers")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		h["Access-Control-Expose-Headers"] = corsExpose
		next.ServeHTTP(w, r)
	})
}

// allowedHeaders returns the fixed list, and the requested headers whose names
// cannot be known in advance. "*" would not cover Authorization.
func allowedHeaders(r *http.Request) string {
	list := corsHeaders
	var echoed []string
	for name := range strings.SplitSeq(strings.Join(r.Header["Access-Control-Request-Headers"], ","), ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if !mayEcho(name) || slices.Contains(echoed, name) {
			continue
		}
		if echoed = append(echoed, name); len(echoed) > maxEchoed {
			break
		}
		list += ", " + name
	}
	return list
}

func mayEcho(name string) bool {
	if name == "traceparent" || name == "tracestate" {
		return true
	}
	param, ok := strings.CutPrefix(name, "mcp-param-")
	if !ok || param == "" || len(name) > 128 {
		return false
	}
	for i := range len(param) {
		if c := param[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}
