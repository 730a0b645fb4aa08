package trial

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestWrongKeyIsShownOnce: servers lock their doors after some failed sign-ins,
// so a wrong key makes one request, with any kind of server.
func TestWrongKeyIsShownOnce(t *testing.T) {
	refuse := func(status int, body string) shimtest.Fault {
		return func(w http.ResponseWriter, r *http.Request) bool {
			return strings.Contains(r.Header.Get("Authorization"), "wrong") && shimtest.Status(status, body)(w, r)
		}
	}
	rpcError := func(code int, id any) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%v,"error":{"code":%d,"message":"Invalid API key"}}`, id, code)
	}
	tests := []struct {
		name  string
		opts  shimtest.Options
		open  []string
		fault shimtest.Fault
	}{
		{"stateful", shimtest.Options{}, nil, nil},
		{"stateless", shimtest.Options{Stateless: true}, nil, nil},
		{"JSON", shimtest.Options{JSON: true}, nil, nil},
		{"newer era alone", shimtest.Options{Stateless: true, Versions: []string{"2026-07-28"}}, nil, nil},
		{"legacy SSE", shimtest.Options{LegacySSE: true}, nil, nil},
		{"legacy SSE that takes no POST", shimtest.Options{LegacySSE: true}, nil, func(w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPost && !r.URL.Query().Has("sessionid") && shimtest.Status(405, "")(w, r)
		}},
		{"refuses at the list", shimtest.Options{}, []string{"initialize", "notifications/initialized", "server/discover"}, nil},
		{"403", shimtest.Options{}, []string{"*"}, refuse(403, "Forbidden")},
		{"400", shimtest.Options{}, []string{"*"}, refuse(400, "Invalid API key")},
		{"JSON-RPC error", shimtest.Options{}, []string{"*"}, refuse(200, rpcError(-32001, 1))},
		{"JSON-RPC error with 400", shimtest.Options{}, []string{"*"}, refuse(400, rpcError(-32600, "null"))},
		{"web page", shimtest.Options{}, []string{"*"}, refuse(401, "<!doctype html>Log in")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := shimtest.NewUpstream(t, tt.opts)
			u.OpenTo(tt.open...)
			u.Break(tt.fault)
			tg := target(t, u, endpoint.DefaultHeader)
			tg.Key = endpoint.NewSecret("wrong-key-000")
			if v := newTester(t).Try(t.Context(), *tg); v.Outcome != Rejected {
				t.Errorf("got %+v, want %s", v, Rejected)
			}
			refused := 0
			for _, r := range u.Requests() {
				// What is open, what is no answer to the key, and the end of
				// a session count as no sign-in.
				if !strings.Contains(strings.Join(tt.open, " "), "init") || r.RPC == "tools/list" {
					refused++
				}
			}
			if tt.name == "legacy SSE that takes no POST" {
				refused--
			}
			if refused != 1 {
				t.Errorf("the server refused %d requests, want 1: %+v", refused, u.Requests())
			}
		})
	}
}

// TestHeadersTried: how many failed sign-ins a key costs where the owner chose
// no header.
func TestHeadersTried(t *testing.T) {
	const wrong = "wrong-key-000"
	says := func(challenge, body string) shimtest.Fault {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if sent(r.Header) == shimtest.DefaultKey || r.Header.Get("X-Figma-Token") == shimtest.DefaultKey || r.Header.Get("X-Api-Key") == shimtest.DefaultKey {
				return false
			}
			if challenge != "" {
				w.Header().Set("WWW-Authenticate", challenge)
			}
			return shimtest.Status(401, body)(w, r)
		}
	}
	tests := []struct {
		name   string
		header string // that the upstream wants
		fault  shimtest.Fault
		key    string
		want   string // the header that works, "" if none does
		tries  int    // requests that are refused: of the key, and of a wrong one beside the right one
	}{
		{"says nothing", "Authorization", says("", ""), wrong, "", 3},
		{"says unauthorized", "Authorization", says("", `{"error":"Unauthorized"}`), wrong, "", 3},
		{"takes OAuth as well", "Authorization", says(`Bearer resource_metadata="https://h.example/x-api-key"`, ""), wrong, "", 3},
		{"says that the token is wrong", "Authorization", says(`Bearer error="invalid_token"`, ""), wrong, "", 1},
		{"names Authorization", "Authorization", says("", "Missing or invalid Authorization header"), wrong, "", 1},
		{"names Bearer", "Authorization", says("", `{"message":"Use a Bearer token"}`), wrong, "", 1},
		{"names both", "Authorization", says("", "Send Authorization: Bearer KEY, or X-API-Key"), wrong, "", 1},
		{"names X-API-Key, wrong key", "X-Api-Key", says("", `{"error":"Missing X-API-Key header"}`), wrong, "", 2},
		{"names X-API-Key", "X-Api-Key", says("", `{"error":"Missing X-API-Key header"}`), shimtest.DefaultKey, "X-Api-Key", 2},
		{"names X-API-Key in the challenge", "X-Api-Key", says(`X-API-Key realm="api"`, ""), shimtest.DefaultKey, "X-Api-Key", 2},
		{"names a header of its own", "X-Figma-Token", says("", "x-figma-token is required"), shimtest.DefaultKey, "x-figma-token", 2},
		{"names one that carries no key", "X-Api-Key", says("", "see X-Request-Id"), shimtest.DefaultKey, "X-Api-Key", 2},
		{"says nothing, wants X-Api-Key", "X-Api-Key", says("", ""), shimtest.DefaultKey, "X-Api-Key", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts := shimtest.Options{Header: tt.header}
			if tt.header == "Authorization" {
				opts.Prefix = "Bearer "
			}
			u := shimtest.NewUpstream(t, opts)
			var refused atomic.Int64
			u.Break(func(w http.ResponseWriter, r *http.Request) bool {
				h := r.Header.Clone()
				if got := strings.TrimPrefix(h.Get(tt.header), "Bearer "); got == shimtest.DefaultKey {
					return false
				}
				refused.Add(1)
				r.Header.Del("X-Api-Key")
				r.Header.Del("X-Figma-Token")
				r.Header.Del("Authorization")
				return tt.fault(w, r)
			})
			tg := target(t, u, endpoint.DefaultHeader)
			tg.Key = endpoint.NewSecret(tt.key)
			v := newTester(t).TryHeaders(t.Context(), *tg, endpoint.UsualHeaders[1:])
			switch {
			case tt.want == "" && (v.Outcome != Rejected || v.Header != endpoint.DefaultHeader):
				t.Errorf("got %+v, want %s", v, Rejected)
			case tt.want != "" && (v.Outcome != OK || !strings.EqualFold(v.Header.Name, tt.want)):
				t.Errorf("got %+v, want the header %s", v, tt.want)
			}
			if n := int(refused.Load()); n != tt.tries {
				t.Errorf("%d requests were refused, want %d", n, tt.tries)
			}
		})
	}
}
