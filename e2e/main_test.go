// Package e2e tests the built program with official clients, the conformance
// suite, a real Chromium and another user of the machine. .ci/run installs what
// the tests need; without it they are skipped.
package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// work is the folder of what is built once for all tests.
var work string

func TestMain(m *testing.M) {
	var err error
	if work, err = os.MkdirTemp("", "key2oauth-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	// TestL01 runs the program as another user of the machine.
	if err := os.Chmod(work, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	code := runAll(m)
	os.RemoveAll(work)
	os.Exit(code)
}

// noteSources looks at every source file of the program, to keep go test from
// answering from its cache after a change. The cache tracks the files that a
// test reads while it runs, but not those that a compiler started by the test
// reads.
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
	// A server of another library. It is no dependency of the module, so it
	// comes from the module proxy.
	buildMCPGo = sync.OnceValues(func() (string, error) {
		return install("github.com/mark3labs/mcp-go/examples/conformance@v1.2.1")
	})
)

// build compiles pkg once. It passes GOFLAGS on, so a test with an overlay gets
// a program with that overlay.
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

// install builds a program of another module at an exact version.
func install(pkg string) (string, error) {
	cmd := exec.Command("go", "install", pkg)
	cmd.Dir, cmd.Env = work, append(os.Environ(), "GOBIN="+work, "GOFLAGS=")
	if b, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go install %s: %w\n%s", pkg, err, b)
	}
	name, _, _ := strings.Cut(path.Base(pkg), "@")
	return filepath.Join(work, name), nil
}

func built(t testing.TB, b func() (string, error)) string {
	t.Helper()
	name, err := b()
	if err != nil {
		t.Fatal(err)
	}
	return name
}
