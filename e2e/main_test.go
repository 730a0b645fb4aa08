// Package e2e holds the tests of the built program: official clients, the
// conformance suite, a real Chromium and another user of the machine. What
// they need is installed by .ci/run; without it they are skipped.
package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// work holds what is built once for all tests.
var work string

func TestMain(m *testing.M) {
	var err error
	if work, err = os.MkdirTemp("", "key2oauth-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	// Another user of the machine runs the program in TestL01.
	if err := os.Chmod(work, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	code := runAll(m)
	os.RemoveAll(work)
	os.Exit(code)
}

// noteSources looks at every file that the program is made of, so that go test does
// not answer from its cache once one has changed: it sees what a test looks
// at while it runs, but not what a compiler does that the test starts.
func noteSources() error {
	return filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (name == filepath.Join("..", "e2e") || name == filepath.Join("..", "dist") || d.Name() == ".git") {
			return filepath.SkipDir
		}
		_, err = os.Stat(name)
		return err
	})
}

var (
	buildProgram  = sync.OnceValues(func() (string, error) { return build("key2oauth", "./cmd/key2oauth") })
	buildForTests = sync.OnceValues(func() (string, error) {
		return build("key2oauth-k2otest", "./cmd/key2oauth", "-tags", "k2otest")
	})
	buildEverything = sync.OnceValues(func() (string, error) {
		return build("everything-server", "github.com/modelcontextprotocol/go-sdk/conformance/everything-server")
	})
)

// build compiles pkg once. GOFLAGS reaches it, so a test that is run with an
// overlay gets a program with the overlay.
func build(name, pkg string, flags ...string) (string, error) {
	if err := noteSources(); err != nil {
		return "", err
	}
	out := filepath.Join(work, name)
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", out, pkg)...)
	cmd.Dir = ".."
	if b, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, b)
	}
	return out, nil
}

func built(t testing.TB, b func() (string, error)) string {
	t.Helper()
	name, err := b()
	if err != nil {
		t.Fatal(err)
	}
	return name
}
