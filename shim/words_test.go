package shim_test

import (
	"testing"

	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestWordsInCatalogue: the words that a person reads are in package web.
func TestWordsInCatalogue(t *testing.T) {
	n := 0
	for _, room := range []string{".", "internal/owner", "internal/control", "internal/signin"} {
		n += shimtest.NoWords(t, room)
	}
	if n < 20 {
		t.Errorf("looked at %d files only", n)
	}
}
