package upstream

import (
	"net/url"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// TestGuardOfQuery: what in a URL's query seems to be a secret does not come
// back, and all of it where there is no other key.
func TestGuardOfQuery(t *testing.T) {
	const value = "abcdefghij0123456789"
	for query, secret := range map[string]bool{
		"api_key=" + value:              true,
		"apiKey=" + value:               true,
		"x-api-key=" + value:            true,
		"accessToken=" + value:          true,
		"auth[token]=" + value:          true,
		"client_secret=" + value:        true,
		"code=" + value:                 true,
		"a=1&sig=" + value + "&b=2":     true,
		"project_ref=" + value:          false,
		"path=" + value:                 false,
		"author=" + value:               false,
		"toolsets=" + value:             false,
		"keyword=" + value:              false,
		"=" + value:                     false,
		value:                           false,
		"token=abcdefghij0123456789%2b": true,
	} {
		for _, key := range []string{"", "sk-another-0123456789"} {
			target := Target{URL: &url.URL{Scheme: "https", Host: "h.example", Path: "/mcp", RawQuery: query}, Header: endpoint.DefaultHeader}
			if key != "" {
				target.Key = endpoint.NewSecret(key)
			}
			for _, target := range []*Target{&target, (&Target{URL: target.URL, Header: target.Header, Key: target.Key}).Ready()} {
				text := "the URL was /mcp?" + query + " and the key " + key
				got := target.Guard().Words(text)
				if want := secret || key == ""; want == strings.Contains(got, value) {
					t.Errorf("with the key %q, %q became %q", key, text, got)
				}
				if key != "" && strings.Contains(got, key) {
					t.Errorf("the key is still in %q", got)
				}
			}
		}
	}
}

// TestGuardOfPath: what in a URL's path looks like a key does not come back, in
// any of the listed forms. An id does if the key is elsewhere.
func TestGuardOfPath(t *testing.T) {
	const value, id = "Ab3dEf6h+Ij9kLm2nOp5/Rs8t", "550e8400-e29b-41d4-a716-446655440000"
	segment := url.PathEscape(value)
	for _, tt := range []struct {
		path, key string
		struck    bool // the id too
	}{
		{"/s/" + segment + "/" + id + "/mcp", "", true},
		{"/s/" + segment + "/" + id + "/mcp", "none", true},
		{"/s/" + segment + "/" + id + "/mcp", "sk-another-0123456789", false},
		{"/s/" + segment + "/api-key/" + id, "sk-another-0123456789", true},
	} {
		u, err := url.Parse("https://h.example" + tt.path + "?v=1")
		if err != nil {
			t.Fatal(err)
		}
		target := Target{URL: u, Header: endpoint.DefaultHeader}
		if tt.key != "" {
			target.Key = endpoint.NewSecret(tt.key)
		}
		g := target.Ready().Guard()
		if g == nil {
			t.Fatalf("%s is not guarded", tt.path)
		}
		for _, form := range []string{
			value, segment, url.QueryEscape(value), strings.ReplaceAll(value, "/", `\/`),
			"no route for /s/" + segment + "/mcp",
		} {
			if got := g.Words(form); strings.Contains(got, "Lm2nOp5") {
				t.Errorf("with the key %q, %q became %q", tt.key, form, got)
			}
		}
		if got := g.Words("project " + id); strings.Contains(got, id) == tt.struck {
			t.Errorf("with the key %q, %s: the id became %q", tt.key, tt.path, got)
		}
		if got := g.Words("no tool at https://h.example/mcp"); got != "no tool at https://h.example/mcp" {
			t.Errorf("words became %q", got)
		}
	}
}
