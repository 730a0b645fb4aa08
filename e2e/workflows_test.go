package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestWorkflows checks two rules for the workflows on GitHub: the code that
// runs is pinned to the last byte, and its permissions are no wider than
// necessary.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	// What the jobs of a workflow may write.
	writes := map[string][]string{
		"release.yml":   {"contents", "id-token", "attestations"}, // the draft of a release, and where it was made
		"codeql.yml":    {"security-events"},                      // the findings
		"scorecard.yml": {"security-events"},
	}
	files, err := filepath.Glob(filepath.Join("..", ".github", "workflows", "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("workflows: %v, %v", files, err)
	}
	pinned := regexp.MustCompile(`^[\w-]+/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	image := regexp.MustCompile(`^\S+@sha256:[0-9a-f]{64}$`)
	for _, file := range files {
		name := filepath.Base(file)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), "\npermissions: {}\n") {
			t.Errorf("%s gives its jobs permissions that they do not request", name)
		}
		for line := range strings.Lines(string(b)) {
			key, value, _ := strings.Cut(strings.TrimLeft(strings.TrimSpace(line), "- "), ": ")
			switch {
			case key == "uses" && !strings.HasPrefix(value, "./") && !pinned.MatchString(value):
				t.Errorf("%s: %s is not pinned by its digest, followed by its version", name, value)
			case key == "image" && !image.MatchString(value):
				t.Errorf("%s: %s is not pinned by its digest", name, value)
			case strings.HasPrefix(value, "write") && !slices.Contains(writes[name], key):
				t.Errorf("%s: a job may write %s", name, key)
			}
		}
	}
}
