package endpoint

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseSnippet(t *testing.T) {
	bearer := DefaultHeader
	apiKey := Header{Name: "X-API-Key"}
	tests := []struct {
		name, text string
		want       Snippet
		key        string
	}{
		{"mcpServers", `{"mcpServers":{"linear":{"type":"http","url":"https://mcp.linear.app/mcp","headers":{"Authorization":"Bearer lin_123"}}}}`,
			Snippet{Name: "linear", URL: "https://mcp.linear.app/mcp", Header: bearer}, "lin_123"},
		{"VS Code", `{"servers":{"x":{"url":"https://a.example/mcp","headers":{"X-API-Key":"k1"}}},"inputs":[]}`,
			Snippet{Name: "x", URL: "https://a.example/mcp", Header: apiKey}, "k1"},
		{"VS Code settings", `{"mcp":{"servers":{"x":{"url":"https://a.example/mcp"}}}}`,
			Snippet{Name: "x", URL: "https://a.example/mcp"}, ""},
		{"one server", `{"url":"https://a.example/mcp","headers":{"Authorization":"tok"}}`,
			Snippet{Name: "a.example", URL: "https://a.example/mcp", Header: Header{Name: "Authorization"}}, "tok"},
		{"serverUrl", `{"mcpServers":{"w":{"serverUrl":"https://a.example/mcp"}}}`, Snippet{Name: "w", URL: "https://a.example/mcp"}, ""},
		{"httpUrl", `{"mcpServers":{"w":{"httpUrl":"https://a.example/mcp"}}}`, Snippet{Name: "w", URL: "https://a.example/mcp"}, ""},
		{"entry cut out of its object", `"cut": {"url":"https://a.example/mcp"},`, Snippet{Name: "cut", URL: "https://a.example/mcp"}, ""},
		{"named map only", `{"only":{"url":"https://a.example/mcp"}}`, Snippet{Name: "only", URL: "https://a.example/mcp"}, ""},
		{"comments and trailing commas", "// my servers\n{\n  /* one */ \"mcpServers\": {\n \"x\": { \"url\": \"https://a.example/mcp?a=//b\", // url\n \"headers\": {\"Api-Key\": \"k,}\",}, },\n },\n}\n",
			Snippet{Name: "x", URL: "https://a.example/mcp?a=//b", Header: Header{Name: "Api-Key"}}, "k,}"},
		{"mcp-remote", `{"mcpServers":{"r":{"command":"npx","args":["-y","mcp-remote@latest","https://a.example/mcp","--header","Authorization: Bearer k2"]}}}`,
			Snippet{Name: "r", URL: "https://a.example/mcp", Header: bearer}, "k2"},
		{"mcp-remote with env", `{"mcpServers":{"r":{"command":"npx","args":["mcp-remote","https://a.example/mcp","--header","Authorization:${AUTH}"],"env":{"AUTH":"Bearer k3"}}}}`,
			Snippet{Name: "r", URL: "https://a.example/mcp", Header: bearer}, "k3"},
		{"mcp-remote with env that names itself", `{"command":"npx","args":["mcp-remote","https://a.example/mcp","--header","X-API-Key:${A}"],"env":{"A":"${A}${A}"}}`,
			Snippet{Name: "a.example", URL: "https://a.example/mcp", Header: apiKey}, ""},
		{"mcp-remote with env that multiplies", `{"command":"npx","args":["mcp-remote","https://a.example/mcp","--header","X-API-Key:` + strings.Repeat("${A}", 2000) + `"],"env":{"A":"` + strings.Repeat("x", 20000) + `"}}`,
			Snippet{Name: "a.example", URL: "https://a.example/mcp", Header: apiKey}, ""},
		{"claude mcp add", `claude mcp add --transport http sentry https://mcp.sentry.dev/mcp --header "X-API-Key: k4"`,
			Snippet{Name: "sentry", URL: "https://mcp.sentry.dev/mcp", Header: apiKey}, "k4"},
		{"claude mcp add, continued lines", "claude mcp add -s user \\\n  --transport http 'my server' \\\n  https://a.example/mcp \\\n  -H 'Authorization: Bearer k5'",
			Snippet{Name: "my server", URL: "https://a.example/mcp", Header: bearer}, "k5"},
		{"npx mcp-remote", "npx mcp-remote https://a.example/mcp --header 'Authorization: Bearer k6'",
			Snippet{Name: "a.example", URL: "https://a.example/mcp", Header: bearer}, "k6"},
		{"curl", `curl -X POST https://a.example/mcp -H "Content-Type: application/json" -H "api-key: k7"`,
			Snippet{Name: "a.example", URL: "https://a.example/mcp", Header: Header{Name: "api-key"}}, "k7"},
		{"bare URL", " https://a.example/mcp\n", Snippet{Name: "a.example", URL: "https://a.example/mcp"}, ""},
		{"placeholder", `{"url":"https://a.example/mcp","headers":{"Authorization":"Bearer YOUR_API_KEY"}}`,
			Snippet{Name: "a.example", URL: "https://a.example/mcp", Header: bearer}, ""},
		{"input variable", `{"url":"https://a.example/mcp","headers":{"Authorization":"Bearer ${input:key}"}}`,
			Snippet{Name: "a.example", URL: "https://a.example/mcp", Header: bearer}, ""},
		{"angle brackets", `{"url":"https://a.example/mcp","headers":{"X-API-Key":"<your key>"}}`,
			Snippet{Name: "a.example", URL: "https://a.example/mcp", Header: apiKey}, ""},
		{"unusual header among others", `{"url":"https://a.example/mcp","headers":{"Accept":"x","X-Tenant-Token":"k8","Content-Type":"y"}}`,
			Snippet{Name: "a.example", URL: "https://a.example/mcp", Header: Header{Name: "X-Tenant-Token"}}, "k8"},
		{"query key", `{"url":"https://a.example/mcp?apiKey=k9"}`, Snippet{Name: "a.example", URL: "https://a.example/mcp?apiKey=k9"}, ""},
		{"other scheme in Authorization", `{"url":"https://a.example/mcp","headers":{"Authorization":"Token k10"}}`,
			Snippet{Name: "a.example", URL: "https://a.example/mcp", Header: Header{"Authorization", "Token "}}, "k10"},
		{"a stdio server beside it", `{"mcpServers":{"files":{"command":"npx","args":["server-files","/tmp"]},"x":{"url":"https://a.example/mcp"}}}`,
			Snippet{Name: "x", URL: "https://a.example/mcp"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseSnippet(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			key := got.Key.Reveal()
			got.Key, got.Left = Secret{}, nil
			if !reflect.DeepEqual(got, tt.want) || key != tt.key {
				t.Errorf("got %+v with key %q, want %+v with key %q", got, key, tt.want, tt.key)
			}
		})
	}
	bad := []struct{ name, text, want string }{
		{"empty", " ", "Paste"},
		{"prose", "please connect my server", "No MCP server"},
		{"broken JSON", `{"mcpServers":{"x":{"url":"https://a.example/` + canary, "cannot be read"},
		{"no server", `{"a":1}`, "No MCP server"},
		{"stdio only", `{"mcpServers":{"files":{"command":"npx","args":["server-files"]}}}`, "No MCP server"},
		{"two servers", `{"mcpServers":{"a":{"url":"https://a.example"},"b":{"url":"https://b.example"}}}`, "more than one"},
		{"bad URL", `{"url":"http://169.254.169.254/"}`, "does not connect"},
		{"bad key", `{"url":"https://a.example/","headers":{"X-API-Key":"` + canary + `\u2026"}}`, "shortened"},
		{"too long", `{"url":"` + strings.Repeat("x", maxSnippet) + `"}`, "too long"},
	}
	for _, tt := range bad {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseSnippet(tt.text)
			if err == nil {
				t.Fatalf("got %+v, want an error", got)
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), canary) {
				t.Errorf("got %v, want %q in it, and no secret", err, tt.want)
			}
		})
	}
}

// FuzzParseSnippet: the rules for URLs, headers, keys and names accept every
// result.
func FuzzParseSnippet(f *testing.F) {
	f.Add(`{"mcpServers":{"x":{"url":"https://a.example","headers":{"Authorization":"Bearer k"}}}}`)
	f.Add(`claude mcp add --transport http n https://a.example --header "X: y"`)
	f.Add("// c\n{\"args\":[\"https://a.example\",\"--header\",\"A:${B}\"],\"env\":{\"B\":\"k\"},}")
	f.Add(`"a":{"url":"https://a.example"}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSnippet(text)
		if err != nil {
			return
		}
		if u, _, err := ParseUpstream(s.URL); err != nil || u.String() != s.URL {
			t.Errorf("URL %q: %v, %v", s.URL, u, err)
		}
		if s.Name != "" {
			if n, err := ParseName(s.Name, ""); n != s.Name || err != nil {
				t.Errorf("name %q: %q, %v", s.Name, n, err)
			}
		}
		if s.Header != (Header{}) {
			if h, err := ParseHeader(s.Header.Name, s.Header.Prefix); h != s.Header || err != nil {
				t.Errorf("header %+v: %+v, %v", s.Header, h, err)
			}
		}
		if !s.Key.IsZero() {
			for _, c := range []byte(s.Key.Reveal()) {
				if c < ' ' || c > '~' {
					t.Errorf("key %q", s.Key.Reveal())
				}
			}
		}
	})
}

// TestLeftOut: what a paste has besides one server and its key is named, without
// any value.
func TestLeftOut(t *testing.T) {
	for text, want := range map[string][]LeftOut{
		"https://a.example/mcp": nil,
		`curl -X POST https://a.example/mcp -H "Accept: text/event-stream" -H "Content-Type: application/json" -H "X-Api-Key: ` + canary + `" -H "X-Org: ` + canary + `"`: {{LeftHeader, "X-Org"}},
		`{"url":"https://a.example/mcp","headers":{"Authorization":"Bearer ${TOKEN}"}}`:                                                                                   {{LeftPlaceholder, "Authorization"}},
		`claude mcp add -e SECRET=` + canary + ` --transport http x https://a.example/mcp`:                                                                                {{LeftVariable, "SECRET"}},
	} {
		got, err := ParseSnippet(text)
		if err != nil || !slices.Equal(got.Left, want) {
			t.Errorf("%s: got %v, %v, want %v", text, got.Left, err, want)
		}
	}
}

func TestIsURL(t *testing.T) {
	for text, want := range map[string]bool{
		"https://a.example/mcp": true, " https://a.example/mcp?key=1 \n": true, "ftp://x": true, "a.example": true,
		`{"url":"https://a.example"}`: false, "claude mcp add x https://a.example": false, `"x": {}`: false, "// note": false,
	} {
		if got := IsURL(text); got != want {
			t.Errorf("IsURL(%q) = %v, want %v", text, got, want)
		}
	}
}
