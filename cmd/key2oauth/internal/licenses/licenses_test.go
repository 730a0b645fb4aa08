package licenses_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/licenses"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/licenses/golist"
)

// TestLinked compares the list with what the go command links.
func TestLinked(t *testing.T) {
	for _, system := range licenses.Systems {
		t.Run(system, func(t *testing.T) {
			t.Parallel()
			linked, err := golist.Linked(system)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{}
			for _, m := range linked {
				want = append(want, m.Path+" "+m.Version)
			}
			list, err := licenses.Linked(system)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, m := range list {
				if m.Version != "" {
					got = append(got, m.Path+" "+m.Version)
				}
			}
			if d := cmp.Diff(want, got, cmpopts.SortSlices(strings.Compare)); d != "" {
				t.Errorf("the licenses are not those of what is linked; run go generate ./cmd/key2oauth/internal/licenses (-linked +listed):\n%s", d)
			}
		})
	}
}

// TestWrite: the text names every module and holds each of its license files.
func TestWrite(t *testing.T) {
	used := map[string]bool{}
	for _, system := range licenses.Systems {
		list, err := licenses.Linked(system)
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		if err := licenses.Write(&buf, system); err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			if !strings.Contains(buf.String(), "\n  "+strings.TrimSpace(m.Path+" "+m.Version)+"\n") {
				t.Errorf("%s: %s is not named", system, m.Path)
			}
			if len(m.Texts) == 0 {
				t.Errorf("%s: %s has no license", system, m.Path)
			}
			for _, name := range m.Texts {
				used[name] = true
				b, err := os.ReadFile(filepath.Join("texts", name))
				if err != nil {
					t.Fatal(err)
				}
				if text := strings.TrimSpace(string(b)); len(text) < 500 || !strings.Contains(buf.String(), text) {
					t.Errorf("%s: the text %s of %s is missing, or none", system, name, m.Path)
				}
			}
		}
		if !slices.ContainsFunc(list, func(m licenses.Module) bool { return strings.HasPrefix(m.Path, "Go runtime") }) {
			t.Errorf("%s: Go's own license is missing", system)
		}
	}
	if err := licenses.Write(&bytes.Buffer{}, "plan9"); err == nil {
		t.Error("a system that there is no list for: no error")
	}
	all, err := filepath.Glob("texts/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if !used[filepath.Base(name)] {
			t.Errorf("%s belongs to no module", name)
		}
	}
}
