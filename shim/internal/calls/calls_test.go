package calls

import "testing"

func FuzzSplitRest(f *testing.F) {
	for _, s := range []string{"", "/", "/mcp", "/mcp/", "/mcp/x", "/mcpx", "//mcp", "/mcp//"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		// The rest that is passed on starts a new path segment.
		if sub, ok := splitRest(rest); ok && sub != "" && (sub[0] != '/' || "/mcp"+sub != rest) {
			t.Errorf("splitRest(%q) = %q", rest, sub)
		}
	})
}
