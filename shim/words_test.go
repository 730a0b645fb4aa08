package shim_test

import (
	"testing"

	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestWordsInCatalogue: what a person reads is in package web.
func TestWordsInCatalogue(t *testing.T) {
	if n := shimtest.NoWords(t); n < 30 {
		t.Errorf("%d files were looked at", n)
	}
}
