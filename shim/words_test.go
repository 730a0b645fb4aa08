package shim_test

import (
	"testing"

	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestWordsInCatalogue: all words that a person reads are in package web.
func TestWordsInCatalogue(t *testing.T) {
	n := 0
	for _, room := range []string{".", "internal/owner", "internal/control", "internal/reach", "internal/signin", "internal/dashboard", "internal/adminapi"} {
		n += shimtest.NoWords(t, room)
	}
	for _, room := range []string{"internal/origin", "internal/calls"} {
		n += shimtest.NoWords(t, room, "words.go")
	}
	if n < 40 {
		t.Errorf("looked at %d files only", n)
	}
}
