package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocsPictures: each picture is there for light and dark pages, is shown by
// a document, and none is left that no document shows.
func TestDocsPictures(t *testing.T) {
	t.Parallel()
	documents, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	both := regexp.MustCompile(`<source media="\(prefers-color-scheme: dark\)" srcset="([^"]+)-dark\.(png|svg)">\s*<img src="([^"]+)-light\.(png|svg)" alt="[^"]+">`)
	shown := make(map[string]bool)
	for _, name := range append(documents, "../README.md") {
		text := readFile(t, name)
		pairs := both.FindAllStringSubmatch(text, -1)
		if n := strings.Count(text, "<img ") + strings.Count(text, "](.github/") + strings.Count(text, "](../.github/"); n != len(pairs) {
			t.Errorf("%s has %d pictures, and %d for light and dark pages", filepath.Base(name), n, len(pairs))
		}
		for _, m := range pairs {
			if m[1] != m[3] || m[2] != m[4] {
				t.Errorf("%s shows %s on light pages and %s on dark ones", filepath.Base(name), m[3], m[1])
			}
			for _, scheme := range []string{"light", "dark"} {
				shown[filepath.Base(m[1])+"-"+scheme+"."+m[2]] = true
			}
		}
	}
	entries, err := os.ReadDir("../.github")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext != ".png" && ext != ".svg" {
			continue
		}
		if !shown[e.Name()] {
			t.Errorf("no document shows .github/%s", e.Name())
		}
		delete(shown, e.Name())
	}
	for name := range shown {
		t.Errorf(".github/%s is not there", name)
	}
}

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
