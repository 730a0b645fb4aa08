package browser

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBrowserOutlivesTerminal checks that the browser gets its own session:
// signals from our terminal go to every process in ours.
func TestBrowserOutlivesTerminal(t *testing.T) {
	dir := t.TempDir()
	const script = "#!/bin/sh\nread -r pid name state parent group session rest </proc/self/stat\necho \"$1 $$ $session\" >\"${0%/*}/said\"\n"
	if err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	if err := openURL("http://127.0.0.1:7450/"); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b))
	if len(f) != 3 || f[0] != "http://127.0.0.1:7450/" || f[1] != f[2] {
		t.Errorf("link, process and session are %q, want process and session to be one", f)
	}

	t.Setenv("PATH", t.TempDir())
	if err := openURL("http://127.0.0.1:7450/"); err == nil {
		t.Error("no error without a browser")
	}
}
