package httpx

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestX01Preflight(t *testing.T) {
	called := false
	h := CORS(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	r := httptest.NewRequest("OPTIONS", "/aaaaaaaaaaaa/mcp", nil)
	r.Header.Set("Origin", "https://inspector.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	r.Header.Set("Access-Control-Request-Headers", "authorization,Mcp-Param-Region, traceparent,x-evil,mcp-param-,mcp-param-a b,MCP-PARAM-REGION,tracestate,*")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if called || w.Code != http.StatusNoContent || w.Body.Len() != 0 {
		t.Errorf("got %d %q, handler called: %v", w.Code, w.Body, called)
	}
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
		"Access-Control-Max-Age": "600", "Access-Control-Allow-Credentials": "", "Vary": "Access-Control-Request-Headers",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	want := []string{"Authorization", "Content-Type", "Accept", "Last-Event-ID", "MCP-Protocol-Version", "Mcp-Session-Id", "Mcp-Method", "Mcp-Name",
		"ngrok-skip-browser-warning", "mcp-param-region", "traceparent", "tracestate"}
	if got := strings.Split(w.Header().Get("Access-Control-Allow-Headers"), ", "); !slices.Equal(got, want) {
		t.Errorf("Access-Control-Allow-Headers: got %q, want %q", got, want)
	}
}

func TestX01EchoIsBounded(t *testing.T) {
	r := httptest.NewRequest("OPTIONS", "/", nil)
	var names []string
	for range 10000 {
		names = append(names, "mcp-param-"+strings.Repeat("x", 1+len(names)%50))
	}
	names = append(names, "mcp-param-"+strings.Repeat("y", 1000))
	r.Header.Set("Access-Control-Request-Headers", strings.Join(names, ","))
	if got := allowedHeaders(r); len(got) > 8192 || strings.Contains(got, "yyy") {
		t.Errorf("got %d bytes", len(got))
	}
}

func TestX02HeadersOnEveryAnswer(t *testing.T) {
	for _, status := range []int{200, 401, 404, 429, 500, 503} {
		h := CORS(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Access-Control-Expose-Headers", "X-Own")
			w.WriteHeader(status)
		}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != "*" {
			t.Errorf("%d: Access-Control-Allow-Origin: got %q, want *", status, got)
		}
		const want = "WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version, Retry-After"
		if got := w.Header().Get("Access-Control-Expose-Headers"); got != want {
			t.Errorf("%d: Access-Control-Expose-Headers: got %q, want %q", status, got, want)
		}
	}
	if len(corsExpose) != 1 || len(corsAny) != 1 {
		t.Error("a handler changed what all answers share")
	}
}
