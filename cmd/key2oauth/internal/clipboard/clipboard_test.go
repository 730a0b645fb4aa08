package clipboard

import (
	"errors"
	"testing"
)

func TestOnlyAddresses(t *testing.T) {
	for _, s := range []string{
		"", "sk-12345", "not an address", "file:///etc/passwd", "javascript:alert(1)", "https://", "http://[::1",
		"https://example.com/mcp?key=secret", "https://example.com/mcp?", "https://example.com/#secret", "https://user:secret@example.com/",
	} {
		err := CopyURL(t.Context(), s)
		if err == nil || errors.Is(err, ErrUnavailable) {
			t.Errorf("CopyURL(%q) = %v, want a refusal", s, err)
		}
	}
}
