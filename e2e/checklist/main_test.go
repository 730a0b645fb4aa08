package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const root = "../.."

func TestUpToDate(t *testing.T) {
	doc, missing, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range missing {
		t.Errorf("no test bears the id of the starred row %s", id)
	}
	old, err := os.ReadFile(filepath.Join(root, target))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(old, doc) {
		t.Errorf("%s is out of date; run: go run ./e2e/checklist", target)
	}
}

func TestScan(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a/a_test.go", `package a
import "testing"
func TestW01W02Challenge(t *testing.T) {}
func TestOther(t *testing.T) {
	t.Run("D01 metadata", func(t *testing.T) { t.Error("D02 is no name") })
	t.Run("D03 "+t.Name(), nil)
	for _, tt := range []struct{ name string }{{"P01 P02 keys"}, {name: "P03 headers"}} {
		t.Run(tt.name, nil)
	}
	_ = map[string]int{"T01 token": 1, "T02": 2}
}
`)
	write("a/a.go", "package a\n\n// TestP04 is no test here.\nfunc TestP04() {}\n")
	write("cmd/testdata/script/port.txt", "# L07 a port in use\nexec true\n")
	write("node_modules/x_test.go", "not Go at all")

	got, err := scan(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"W01": {"a TestW01W02Challenge"},
		"W02": {"a TestW01W02Challenge"},
		"D01": {"a TestOther/D01_metadata"},
		"D03": {"a TestOther/D03_..."},
		"P01": {"a TestOther/P01_P02_keys"},
		"P02": {"a TestOther/P01_P02_keys"},
		"P03": {"a TestOther/P03_headers"},
		"T01": {"a TestOther/T01_token"},
		"L07": {"cmd/testdata/script/port.txt"},
	}
	for id, w := range want {
		if !slices.Equal(got[id], w) {
			t.Errorf("scan found %s in %q, want %q", id, got[id], w)
		}
		delete(got, id)
	}
	for id, w := range got {
		t.Errorf("scan found %s in %q, want nothing", id, w)
	}
}
