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
