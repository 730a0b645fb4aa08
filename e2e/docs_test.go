package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocs: what the documents link to exists, and every command that the
// program lists is in docs/commands.md.
func TestDocs(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`(?:\]\(|src="|srcset=")([^)"#]+)`)
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files, "../README.md", "../SECURITY.md", "../CONTRIBUTING.md") {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			if strings.Contains(m[1], ":") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s links to %s, which is not there", filepath.Base(name), m[1])
			}
		}
	}
	commands, err := os.ReadFile("../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	_, help, _ := strings.Cut(startApp(t).run("", "help"), "Usage:")
	listed := 0
	for _, m := range regexp.MustCompile(`(?m)^  ([a-z-]+) {2,}\S`).FindAllStringSubmatch(help, -1) {
		listed++
		if !regexp.MustCompile(`\b` + m[1] + `\b`).Match(commands) {
			t.Errorf("docs/commands.md does not have the command %s", m[1])
		}
	}
	if listed < 20 {
		t.Errorf("the help lists %d commands only", listed)
	}
}
