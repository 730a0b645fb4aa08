package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	gobuild "go/build"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMacTypeChecks type-checks what runs on macOS as it is shipped, with cgo,
// on a machine that has neither that system's headers nor a compiler for it.
// Names in package C are taken as they are; all else is checked for real. Go
// builds that variant nowhere else, since everything here is built without cgo.
func TestMacTypeChecks(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			t.Parallel()
			errs, files := checkMac(t, arch, nil)
			if len(errs) > 0 {
				t.Errorf("%d errors, the first: %v", len(errs), errs[0])
			}
			if !strings.Contains(files, "tray.go") || strings.Contains(files, "tray_none.go") {
				t.Errorf("checked %s, want the variant with cgo", files)
			}
		})
	}
	t.Run("finds a mistake", func(t *testing.T) {
		t.Parallel()
		errs, _ := checkMac(t, "arm64", strings.NewReplacer("systray.SetTemplateIcon(", "systray.SetTemplateImage("))
		if len(errs) == 0 || !strings.Contains(errs[0].Error(), "SetTemplateImage") {
			t.Errorf("a name that does not exist gave %v", errs)
		}
	})
}

// checkMac checks the packages that differ on macOS, after spoil has changed
// their source, and returns the names of the files too.
func checkMac(t *testing.T, arch string, spoil *strings.Replacer) (errs []error, files string) {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,DepOnly", "./tray/...", "./cmd/...")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "GOOS=darwin", "GOARCH="+arch, "CGO_ENABLED=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	c := &checker{fset: token.NewFileSet(), dirs: make(map[string]string), done: make(map[string]*types.Package), ctx: gobuild.Default, spoil: spoil}
	c.ctx.GOOS, c.ctx.GOARCH, c.ctx.CgoEnabled = "darwin", arch, true
	var roots []string
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir string
			DepOnly         bool
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		c.dirs[p.ImportPath] = p.Dir
		if !p.DepOnly {
			roots = append(roots, p.ImportPath)
		}
	}
	for _, path := range roots {
		c.ours = true
		if _, err := c.check(path); err != nil {
			c.errs = append(c.errs, err)
		}
	}
	return c.errs, c.files.String()
}

// A checker is an importer that type-checks from source, of what it imports
// the declarations alone.
type checker struct {
	ctx   gobuild.Context
	fset  *token.FileSet
	dirs  map[string]string
	done  map[string]*types.Package
	spoil *strings.Replacer

	ours  bool // the package is one of those to check
	errs  []error
	files strings.Builder
}

// Import is for go/types.
func (c *checker) Import(path string) (*types.Package, error) {
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	if p := c.done[path]; p != nil {
		return p, nil
	}
	if _, ok := c.dirs[path]; !ok {
		path = "vendor/" + path // of the standard library
	}
	before := c.ours
	c.ours = false
	defer func() { c.ours = before }()
	return c.check(path)
}

func (c *checker) check(path string) (*types.Package, error) {
	dir, ok := c.dirs[path]
	if !ok {
		return nil, fmt.Errorf("%s is not among the dependencies", path)
	}
	pkg, err := c.ctx.ImportDir(dir, 0)
	if _, empty := errors.AsType[*gobuild.NoGoError](err); empty { // it is for other systems
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var parsed []*ast.File
	for _, name := range append(pkg.GoFiles, pkg.CgoFiles...) {
		src, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if c.ours {
			fmt.Fprintln(&c.files, name)
			if c.spoil != nil {
				src = []byte(c.spoil.Replace(string(src)))
			}
		}
		f, err := parser.ParseFile(c.fset, filepath.Join(dir, name), src, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, f)
	}
	ours := c.ours
	conf := types.Config{
		FakeImportC:      true,
		Importer:         c,
		IgnoreFuncBodies: !ours,
		Sizes:            types.SizesFor("gc", c.ctx.GOARCH),
		Error: func(err error) {
			if ours {
				c.errs = append(c.errs, err)
			}
		},
	}
	p, _ := conf.Check(path, c.fset, parsed, nil) // each error has gone to Error
	c.done[path] = p
	return p, nil
}
