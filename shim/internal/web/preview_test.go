package web

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPreview writes every page in every state into the folder that K2O_SHOTS
// names, for eyes and for TestScreenshots.
func TestPreview(t *testing.T) {
	dir := os.Getenv("K2O_SHOTS")
	if dir == "" {
		t.Skip("set K2O_SHOTS to a folder to look at the pages")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, s := range states() {
		if err := os.WriteFile(filepath.Join(dir, s.name+".html"), render(s.page).Body.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
