package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

func TestRuntimeNote(t *testing.T) {
	for v, want := range map[string]bool{
		"go1.26.8": true, "go1.26": true, "go1.26rc1": true, "go1.26.9 X:nocoverageredesign": true,
		"go1.26.10": false, "go1.26.10 X:boringcrypto": false, "go1.26.11": false, "go1.27rc1": false, "devel go1.27-abcdef": false,
	} {
		if got := runtimeNote(v) != ""; got != want {
			t.Errorf("runtimeNote(%q) warns: %t, want %t", v, got, want)
		}
	}
}

// TestOldestRuntime: the version stands in go.mod and a second time here.
func TestOldestRuntime(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^go (.+)$`).FindSubmatch(b)
	if m == nil || "go"+string(m[1]) != oldestRuntime {
		t.Errorf("go.mod says %q, oldestRuntime %q", m, oldestRuntime)
	}
}
