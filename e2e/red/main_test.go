package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRun replays mutations in a small separate module: one that the test
// notices, one that it misses, one that does not compile, one that no longer
// applies and one with a test that does not exist.
func TestRun(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":        "module example.com/m\n\ngo 1.26\n",
		"p/p.go":        "package p\n\n// Twice returns 2*n.\nfunc Twice(n int) int {\n\treturn 2 * n\n}\n\nfunc unused() int { return 1 }\n",
		"p/p_test.go":   "package p\n\nimport \"testing\"\n\nfunc TestTwice(t *testing.T) {\n\tif Twice(3) != 6 {\n\t\tt.Error(\"wrong\")\n\t}\n}\n",
		"p/testdata/x":  "",
		"p/red.txt":     "not in testdata, so not read\n",
		"q/.hidden/red": "",
		"p/testdata/red.txt": "# comment\n" +
			"W01\tp\t^TestTwice$\tp/p.go\treturn 2 * n\treturn 3 * n\n" +
			"W02, W03\tp\t^TestTwice$\tp.go\treturn 1\treturn 2\n" +
			"W04\tp\t^TestTwice$\tp/p.go\tn int) int {\\n\\treturn 2\tn int) int {\\n\\treturn \"2\"\n" +
			"W05\tp\t^TestTwice$\tp/p.go\tno such text\tx\n" +
			"W06\tp\t^TestNothing$\tp/p.go\treturn 2 * n\treturn 3 * n\n",
	} {
		name = filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	ok, err := run(root, regexp.MustCompile("W"), 2, &out)
	if err != nil {
		t.Fatal(err)
	}
	if ok {
		t.Error("run reported success although a mutation survived")
	}
	for _, want := range []string{
		`^W01 +red +p \^TestTwice\$ +p/p.go:5 `,
		`^W02 W03 +SURVIVED `,
		`^W04 +ERROR `,
		`^W05 +ERROR `,
		`^W06 +ERROR `,
	} {
		if !regexp.MustCompile(`(?m)` + want).MatchString(out.String()) {
			t.Errorf("no line matches %q in:\n%s", want, out.String())
		}
	}
	if src, err := os.ReadFile(filepath.Join(root, "p", "p.go")); err != nil || !strings.Contains(string(src), "return 2 * n") {
		t.Errorf("the source itself was changed: %q, %v", src, err)
	}

	out.Reset()
	if ok, err := run(root, regexp.MustCompile("W01"), 1, &out); err != nil || !ok {
		t.Errorf("run of W01 alone = %v, %v, want true; printed:\n%s", ok, err, out.String())
	}
}

// TestTablesApply checks that every mutation in the repository still applies.
// It does not replay them, because that takes long; the command does.
func TestTablesApply(t *testing.T) {
	const root = "../.."
	ms, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		src, err := os.ReadFile(m.path(root))
		if err != nil {
			t.Errorf("%s: %v", m.source, err)
			continue
		}
		if n := strings.Count(string(src), unescape(m.old)); n != 1 {
			t.Errorf("%s: %s holds %q %d times, want once", m.source, m.file, m.old, n)
		}
		if !hasTest(t, filepath.Join(root, m.pkg), m.test) {
			t.Errorf("%s: no test of %s matches %s", m.source, m.pkg, m.test)
		}
	}
}

// hasTest reports whether a test in a folder matches a pattern up to its first
// slash.
func hasTest(t *testing.T, dir, pattern string) bool {
	t.Helper()
	top, _, _ := strings.Cut(pattern, "/")
	match := regexp.MustCompile(top)
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range testFunc.FindAllSubmatch(src, -1) {
			if match.Match(f[1]) {
				return true
			}
		}
	}
	return false
}

var testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
