package main

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	// testName matches TestW01Challenge and TestP01P02KeyHeader.
	testName = regexp.MustCompile(`^(?:Test|Fuzz)((?:[A-Z][0-9]{2})+)`)
	// caseName matches "W01 challenge" and "P01 P02 key header".
	caseName = regexp.MustCompile(`^((?:[A-Z][0-9]{2}[ ,]+)+)[^ ,]`)
	// scriptLine matches "# L07 a port in use" in a testscript.
	scriptLine = regexp.MustCompile(`^# ((?:[A-Z][0-9]{2}[ ,:]+)+)`)
	anID       = regexp.MustCompile(`[A-Z][0-9]{2}`)
)

// scan returns the tests under root by their row ids. A test has an id in its
// own name, in the name of a subtest, in a name of its table, or, if it is a
// script, in a comment.
func scan(root string) (map[string][]string, error) {
	found := make(map[string][]string)
	add := func(ids, where string) {
		for _, id := range anID.FindAllString(ids, -1) {
			if !slices.Contains(found[id], where) {
				found[id] = append(found[id], where)
			}
		}
	}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != root && (base == "node_modules" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
				return filepath.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case strings.HasSuffix(base, "_test.go"):
			return scanGo(name, path.Dir(rel), add)
		case strings.Contains(rel, "testdata/script/") && strings.HasSuffix(base, ".txt"):
			return scanScript(name, rel, add)
		}
		return nil
	})
	for _, tests := range found {
		slices.Sort(tests)
	}
	return found, err
}

func scanGo(name, pkg string, add func(ids, where string)) error {
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, decl := range f.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			scanNames(decl, func(ids, sub string) { add(ids, pkg+" "+sub) })
			continue
		}
		where := pkg + " " + fn.Name.Name
		if m := testName.FindStringSubmatch(fn.Name.Name); m != nil {
			add(m[1], where)
		}
		if fn.Body != nil {
			scanNames(fn.Body, func(ids, sub string) { add(ids, where+"/"+sub) })
		}
	}
	return nil
}

// scanNames reports the ids in strings that can be names of subtests: the
// first argument of a Run method, and strings in composite literals. Strings
// elsewhere, such as in a failure message, do not count.
func scanNames(n ast.Node, add func(ids, name string)) {
	report := func(e ast.Expr) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return
		}
		s, err := strconv.Unquote(lit.Value)
		if err != nil {
			return
		}
		if m := caseName.FindStringSubmatch(s); m != nil {
			add(m[1], strings.ReplaceAll(s, " ", "_"))
		}
	}
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Run" && len(n.Args) > 1 {
				report(beginning(n.Args[0]))
			}
		case *ast.CompositeLit:
			for _, e := range n.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					report(kv.Key)
					e = kv.Value
				}
				report(e)
			}
		}
		return true
	})
}

// beginning returns the beginning of a composed name, such as "M01 "+version
// or fmt.Sprintf("M01 %s", version).
func beginning(e ast.Expr) ast.Expr {
	switch x := e.(type) {
	case *ast.BinaryExpr:
		if lit, ok := beginning(x.X).(*ast.BasicLit); ok && strings.HasSuffix(lit.Value, `"`) {
			// Add dots, because the name after the ids must not be empty.
			return &ast.BasicLit{Kind: lit.Kind, Value: strings.TrimSuffix(lit.Value, `"`) + `..."`}
		}
	case *ast.CallExpr:
		if sel, ok := x.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sprintf" && len(x.Args) > 0 {
			return x.Args[0]
		}
	}
	return e
}

func scanScript(name, rel string, add func(ids, where string)) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if m := scriptLine.FindStringSubmatch(s.Text()); m != nil {
			add(m[1], rel)
		}
	}
	return s.Err()
}
