package web

import "testing"

// TestTypeset: no text came to the catalogue after it was typeset.
func TestTypeset(t *testing.T) {
	for key, s := range text {
		if got := Text(key); got != typography.Replace(s) {
			t.Errorf("%s is %q, want %q", key, got, typography.Replace(s))
		}
	}
}
