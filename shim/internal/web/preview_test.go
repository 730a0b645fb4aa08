package web

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// shotsDir is the folder that K2O_SHOTS names. Without one pictures are taken
// in CI alone, to see that every page can be drawn.
func shotsDir(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("K2O_SHOTS"); dir != "" {
		return dir
	}
	if !testenv.InCI() {
		t.Skip("requires K2O_SHOTS, a folder to look at the pages in")
	}
	return t.TempDir()
}

// TestPreview writes every page in every state into the folder that K2O_SHOTS
// names, for eyes and for TestScreenshots.
func TestPreview(t *testing.T) {
	dir := shotsDir(t)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, s := range states() {
		if err := os.WriteFile(filepath.Join(dir, s.name+".html"), render(s.page).Body.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
