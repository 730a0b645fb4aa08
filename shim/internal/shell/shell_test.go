package shell

import (
	"net/http/httptest"
	"testing"
)

// TestCameFrom expects the forms of the header to lead back to the page that
// they were on, and never to anything that a link could have made up.
func TestCameFrom(t *testing.T) {
	const here = "http://127.0.0.1:7450"
	for referer, want := range map[string]string{
		here + "/activity?q=x":                         "/activity",
		here + "/servers/linear":                       "/servers/linear",
		here + "/servers/linear/connect":               "/servers/linear/connect",
		here + "/servers/linear/connect/claude-code":   "/servers/linear/connect/claude-code",
		here + "/servers/linear/connect/a/b":           "/",
		here + "/servers/linear/delete":                "/",
		here + "/servers/linear/connect/..%2f..%2fx":   "/",
		here + "/consent/abc":                          "/",
		"http://evil.example/servers/linear/connect/x": "/",
		"": "/",
	} {
		r := httptest.NewRequest("POST", here+"/pause", nil)
		r.Header.Set("Referer", referer)
		if got := CameFrom(r); got != want {
			t.Errorf("from %q back to %q, want %q", referer, got, want)
		}
	}
}
