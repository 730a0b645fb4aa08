package oauth

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestServerMetadata(t *testing.T) {
	f := newFixture(t)
	w := f.do(f.pub, "GET", serverMetadataPath, "")
	m := object(t, w)
	t.Run("D01 issuer is the bare origin", func(t *testing.T) {
		if ct := w.Header().Get("Content-Type"); w.Code != http.StatusOK || ct != "application/json" {
			t.Errorf("got %d %q, want 200 application/json", w.Code, ct)
		}
		if got := m["issuer"]; got != pub {
			t.Errorf("issuer: got %q, want %q", got, pub)
		}
	})
	t.Run("D02 endpoints are where clients guess them", func(t *testing.T) {
		for name, path := range map[string]string{
			"authorization_endpoint": "/authorize",
			"token_endpoint":         "/token",
			"registration_endpoint":  "/register",
			"revocation_endpoint":    "/revoke",
		} {
			if got := m[name]; got != pub+path {
				t.Errorf("%s: got %q, want %q", name, got, pub+path)
			}
		}
	})
	t.Run("D03 S256 only", func(t *testing.T) {
		wantList(t, m, "code_challenge_methods_supported", "S256")
	})
	t.Run("D05 iss is advertised", func(t *testing.T) {
		if got := m["authorization_response_iss_parameter_supported"]; got != true {
			t.Errorf("got %v, want true", got)
		}
	})
	t.Run("D14 offline_access is a scope of the authorization server", func(t *testing.T) {
		wantList(t, m, "scopes_supported", "mcp", "offline_access")
	})
	wantList(t, m, "response_types_supported", "code")
	wantList(t, m, "response_modes_supported", "query")
	wantList(t, m, "grant_types_supported", "authorization_code", "refresh_token")
	wantList(t, m, "token_endpoint_auth_methods_supported", "none", "client_secret_post", "client_secret_basic")
	wantList(t, m, "revocation_endpoint_auth_methods_supported", "none", "client_secret_post", "client_secret_basic")

	const cimd = "client_id_metadata_document_supported"
	if _, ok := m[cimd]; ok {
		t.Errorf("%s is advertised without a CIMD function", cimd)
	}
	f.pub.CIMD = documents{}
	if got := object(t, f.do(f.pub, "GET", serverMetadataPath, ""))[cimd]; got != true {
		t.Errorf("%s: got %v, want true", cimd, got)
	}
}

func wantList(t *testing.T, m map[string]any, name string, want ...string) {
	t.Helper()
	var got []string
	if vs, ok := m[name].([]any); ok {
		for _, v := range vs {
			got = append(got, v.(string))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", name, got, want)
	}
}

func TestResourceMetadata(t *testing.T) {
	f := newFixture(t)
	get := func(path string, headers ...string) map[string]any {
		t.Helper()
		w := f.do(f.pub, "GET", resourceMetadataPath+path, "", headers...)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: got status %d, want 200", path, w.Code)
		}
		return object(t, w)
	}
	for _, tt := range []struct{ name, path string }{
		{"D08 plain", "/" + slugA + "/mcp"},
		{"D09 trailing slash", "/" + slugA + "/mcp/"},
		{"D09 alias", "/" + slugA},
		{"D09 alias with slash", "/" + slugA + "/"},
		{"D09 below the endpoint", "/" + slugA + "/mcp/v2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := get(tt.path)
			if got, want := m["resource"], pub+tt.path; got != want {
				t.Errorf("resource: got %q, want %q", got, want)
			}
			wantList(t, m, "authorization_servers", pub)
			wantList(t, m, "bearer_methods_supported", "header")
			if got := m["resource_name"]; got != "Linear" {
				t.Errorf("resource_name: got %q, want Linear", got)
			}
		})
	}
	t.Run("D14 no offline_access", func(t *testing.T) {
		wantList(t, get("/"+slugA+"/mcp"), "scopes_supported", "mcp")
	})
	t.Run("query of the MCP URL is ignored", func(t *testing.T) {
		if got, want := get("/" + slugA + "/mcp?x=1")["resource"], pub+"/"+slugA+"/mcp"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("D10 D11 what does not exist is 404", func(t *testing.T) {
		for _, path := range []string{
			"", "/", "/zzzzzzzzzzzz/mcp", "/zzzzzzzzzzzz", "/" + slugA + "/other", "/" + slugA + "//mcp",
			"/mcp", "//mcp", "/" + slugA + "/mcp/%2e%2e", "x", "/" + strings.ToUpper(slugA) + "/mcp",
		} {
			wantNotFound(t, f, f.pub, resourceMetadataPath+path)
		}
	})
	t.Run("D10 root on the local origin", func(t *testing.T) {
		f.loc.SoleEndpoint = func() (string, bool) { return slugA, true }
		m := object(t, f.do(f.loc, "GET", resourceMetadataPath, ""))
		if got, want := m["resource"], loc+"/"+slugA+"/mcp"; got != want {
			t.Errorf("resource: got %v, want %q", got, want)
		}
		f.loc.SoleEndpoint = func() (string, bool) { return "", false }
		wantNotFound(t, f, f.loc, resourceMetadataPath)
	})
}

func wantNotFound(t *testing.T, f *fixture, s *Server, path string) {
	t.Helper()
	w := f.do(s, "GET", path, "")
	if ct := w.Header().Get("Content-Type"); w.Code != http.StatusNotFound || ct != "application/json" {
		t.Errorf("%s: got %d %q, want 404 application/json", path, w.Code, ct)
	}
}

func TestD06NoNulls(t *testing.T) {
	f := newFixture(t)
	f.names[slugB] = ""
	for _, path := range []string{serverMetadataPath, resourceMetadataPath + "/" + slugB + "/mcp"} {
		if w := f.do(f.pub, "GET", path, ""); bytes.Contains(w.Body.Bytes(), []byte("null")) {
			t.Errorf("%s: %s", path, w.Body)
		}
	}
}

func TestD07NoOpenID(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{
		"/.well-known/openid-configuration",
		"/.well-known/openid-configuration/" + slugA + "/mcp",
		serverMetadataPath + "/" + slugA + "/mcp",
		"/.well-known/jwks.json",
	} {
		wantNotFound(t, f, f.pub, path)
	}
}

func TestD12AnyProtocolVersion(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{serverMetadataPath, resourceMetadataPath + "/" + slugA + "/mcp"} {
		for _, v := range []string{"2024-11-05", "2099-01-01", "nonsense", ""} {
			if w := f.do(f.pub, "GET", path, "", "MCP-Protocol-Version", v); w.Code != http.StatusOK {
				t.Errorf("%s with version %q: got status %d, want 200", path, v, w.Code)
			}
		}
	}
}

func TestD13MethodsAndEncoding(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{serverMetadataPath, resourceMetadataPath + "/" + slugA + "/mcp"} {
		for method, want := range map[string]int{"GET": 200, "HEAD": 200, "OPTIONS": 204, "POST": 405} {
			w := f.do(f.pub, method, path, "", "Accept-Encoding", "gzip")
			if w.Code != want {
				t.Errorf("%s %s: got status %d, want %d", method, path, w.Code, want)
			}
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != "*" {
				t.Errorf("%s %s: Access-Control-Allow-Origin: got %q, want *", method, path, got)
			}
			if got := w.Header().Get("Content-Encoding"); got != "" {
				t.Errorf("%s %s: Content-Encoding: got %q, want none", method, path, got)
			}
		}
	}
}

func TestD15HostChangesNothing(t *testing.T) {
	f := newFixture(t)
	spoof := []string{"Host", "evil.example", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "ftp", "Forwarded", "host=evil.example"}
	for _, path := range []string{serverMetadataPath, resourceMetadataPath + "/" + slugA + "/mcp", "/" + slugA + "/mcp"} {
		for _, s := range []*Server{f.pub, f.loc} {
			got, want := f.do(s, "GET", path, "", spoof...), f.do(s, "GET", path, "")
			if got.Body.String() != want.Body.String() {
				t.Errorf("%s: got %s, want %s", path, got.Body, want.Body)
			}
			if got, want := got.Header().Get("WWW-Authenticate"), want.Header().Get("WWW-Authenticate"); got != want {
				t.Errorf("%s: got %s, want %s", path, got, want)
			}
		}
	}
}

func TestResourceFollowsLoopbackHost(t *testing.T) {
	f := newFixture(t)
	for host, want := range map[string]string{
		"127.0.0.1:7450": loc, "localhost:7450": "http://localhost:7450", "LOCALHOST:7450": "http://localhost:7450",
		"[::1]:7450": "http://[::1]:7450", "localhost:7451": loc, "localhost.evil.example:7450": loc,
	} {
		m := object(t, f.do(f.loc, "GET", resourceMetadataPath+"/"+slugA+"/mcp", "", "Host", host))
		if got := m["resource"]; got != want+"/"+slugA+"/mcp" {
			t.Errorf("Host %s: got resource %q, want origin %q", host, got, want)
		}
		wantList(t, m, "authorization_servers", loc)
	}
}
