package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// A mutation is one line of a testdata/red.txt.
type mutation struct {
	source   string // file and line of this mutation
	rows     string // ids, separated by spaces
	pkg      string // folder of the package, slashes, from the root
	test     string // pattern for go test -run
	file     string // file to break
	old, new string // as written in the table
}

// load reads every testdata/red.txt below root.
func load(root string) ([]mutation, error) {
	var ms []mutation
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != root && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		if d.Name() != "red.txt" || filepath.Base(filepath.Dir(name)) != "testdata" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for n, line := range strings.Split(string(text), "\n") {
			line = strings.TrimSuffix(line, "\r")
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			f := strings.Split(line, "\t")
			if len(f) != 6 {
				return fmt.Errorf("%s:%d: got %d columns, want 6", name, n+1, len(f))
			}
			ids := strings.Join(strings.FieldsFunc(f[0], func(r rune) bool { return r == ' ' || r == ',' }), " ")
			ms = append(ms, mutation{
				source: fmt.Sprintf("%s:%d", filepath.ToSlash(name), n+1),
				rows:   ids, pkg: f[1], test: f[2], file: f[3], old: f[4], new: f[5],
			})
		}
		return nil
	})
	return ms, err
}

// path returns the path of the file to break.
func (m mutation) path(root string) string {
	p := filepath.Join(root, filepath.FromSlash(m.file))
	if _, err := os.Stat(p); err == nil {
		return p
	}
	return filepath.Join(root, filepath.FromSlash(m.pkg), filepath.FromSlash(m.file))
}

// where describes the broken line for people.
func (m mutation) where(root string) string {
	src, err := os.ReadFile(m.path(root))
	if err != nil {
		return m.file
	}
	before, _, ok := strings.Cut(string(src), unescape(m.old))
	if !ok {
		return m.file
	}
	return fmt.Sprintf("%s:%d", m.file, 1+strings.Count(before, "\n"))
}

var unescape = strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace

// A verdict is the result of one mutation.
type verdict string

// The verdicts. All except red mean that the table or the test is at fault.
const (
	red      verdict = "red"
	survived verdict = "SURVIVED"
	broken   verdict = "ERROR" // does not apply, does not compile, or the test fails without it
)

// A result is a verdict and the reason for it.
type result struct {
	verdict verdict
	words   string
	took    time.Duration
}

// replay runs the test without the mutation and then with it.
func (m mutation) replay(root string) result {
	start := time.Now()
	v, words := m.judge(root)
	return result{verdict: v, words: words, took: time.Since(start)}
}

func (m mutation) judge(root string) (verdict, string) {
	name, err := filepath.Abs(m.path(root))
	if err != nil {
		return broken, err.Error()
	}
	src, err := os.ReadFile(name)
	if err != nil {
		return broken, err.Error()
	}
	if n := bytes.Count(src, []byte(unescape(m.old))); n != 1 {
		return broken, fmt.Sprintf("%s holds the old text %d times, want once", m.file, n)
	}
	out, failed, err := m.goTest(root, "")
	switch {
	case err != nil:
		return broken, err.Error()
	case failed || nothingRan(out):
		return broken, "the test does not pass unbroken:\n" + tail(out)
	}

	dir, err := os.MkdirTemp("", "key2oauth-red-")
	if err != nil {
		return broken, err.Error()
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, filepath.Base(name))
	if err := os.WriteFile(copied, bytes.Replace(src, []byte(unescape(m.old)), []byte(unescape(m.new)), 1), 0o600); err != nil {
		return broken, err.Error()
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {name: copied}})
	if err != nil {
		return broken, err.Error()
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return broken, err.Error()
	}
	out, failed, err = m.goTest(root, list)
	switch {
	case err != nil:
		return broken, err.Error()
	case !failed:
		return survived, tail(out)
	case failedBuild.MatchString(out), strings.Contains(out, "panic: test timed out"):
		return broken, tail(out)
	case !failedTest.MatchString(out) && !strings.Contains(out, "panic: "):
		return broken, tail(out)
	}
	return red, ""
}

var (
	failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: `)
	// A test may build the program, and fails too if the program does not compile.
	failedBuild = regexp.MustCompile(`(?m)\[(build|setup) failed\]|go build \S+: exit status`)
)

// goTest runs the mutation's test. The overlay is in the environment, because a
// test that builds the program must also build it with the mutation.
func (m mutation) goTest(root, overlay string) (out string, failed bool, err error) {
	// -count=1 bypasses go test's cache. A test of the built program does not
	// change with the program, so its result could come from the cache.
	args := []string{"test", "-count=1", "-timeout", "5m", "-v", "-run", m.test, "./" + strings.TrimPrefix(m.pkg, "./")}
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CI=true") // runs the slow tests as well, and skips none
	if overlay != "" {
		cmd.Env = append(cmd.Env, strings.TrimSpace("GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	b, err := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(b), true, nil
	}
	return string(b), false, err
}

// nothingRan reports whether no test matched, or all that did were skipped.
func nothingRan(out string) bool {
	return !strings.Contains(out, "--- PASS: ")
}

func tail(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) > 15 {
		lines = lines[len(lines)-15:]
	}
	return "\t" + strings.Join(lines, "\n\t")
}
