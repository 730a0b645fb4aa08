// Checklist writes docs/checklist.md: each row of the acceptance checklist
// with the tests that bear its id. Run it from the root of the repository:
//
//	go run ./e2e/checklist          write the file
//	go run ./e2e/checklist -check   change nothing, exit 1 if something is missing
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/key2oauth/key2oauth/e2e/checklist/rows"
)

const target = "docs/checklist.md"

func main() {
	check := flag.Bool("check", false, "change nothing, exit 1 if something is missing")
	flag.Parse()
	if err := run(".", *check); err != nil {
		fmt.Fprintln(os.Stderr, "checklist:", err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	doc, missing, err := generate(root)
	if err != nil {
		return err
	}
	name := filepath.Join(root, filepath.FromSlash(target))
	if !check {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, doc, 0o644); err != nil {
			return err
		}
	} else if old, err := os.ReadFile(name); err != nil || !bytes.Equal(old, doc) {
		return fmt.Errorf("%s is out of date; run: go run ./e2e/checklist", target)
	}
	if len(missing) > 0 {
		return fmt.Errorf("no test bears the id of these starred rows: %s", strings.Join(missing, " "))
	}
	return nil
}

// generate returns the document, and the starred rows without a test.
func generate(root string) (doc []byte, missing []string, err error) {
	all, err := rows.All()
	if err != nil {
		return nil, nil, err
	}
	tests, err := scan(root)
	if err != nil {
		return nil, nil, err
	}
	known := make(map[string]bool)
	counts := make(map[rows.Grade][2]int) // rows with a test, all rows
	for _, r := range all {
		known[r.ID] = true
		c := counts[r.Grade]
		c[1]++
		if len(tests[r.ID]) > 0 {
			c[0]++
		} else if r.Grade == rows.Star && r.Later == "" {
			missing = append(missing, r.ID)
		}
		counts[r.Grade] = c
	}
	for id, where := range tests {
		if !known[id] {
			return nil, nil, fmt.Errorf("%s bears the id %s, which is no row", where[0], id)
		}
	}

	var b bytes.Buffer
	fmt.Fprintf(&b, intro, mark(rows.Star), mark(rows.Full), mark(rows.Optional))
	for _, g := range []rows.Grade{rows.Star, rows.Full, rows.Optional} {
		fmt.Fprintf(&b, "- %s %d of %d rows have a test\n", mark(g), counts[g][0], counts[g][1])
	}
	section := byte(0)
	for _, r := range all {
		if r.ID[0] != section {
			section = r.ID[0]
			fmt.Fprintf(&b, "\n## %s\n\n| row | | behavior | tests |\n|---|---|---|---|\n", sections[section])
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.ID, mark(r.Grade), cell(describe(r)), cell(list(r, tests[r.ID])))
	}
	return b.Bytes(), missing, nil
}

const intro = `# Checklist

Written by "go run ./e2e/checklist" from the names of the tests; do not edit.

What clients, the MCP specification and the OAuth RFCs demand, one row each, with the tests that
bear its id. Without a row marked %s a connection breaks or a security hole opens: CI fails
when such a row has no test, unless its part of the program is not built yet. %s is a
requirement or a known trap, %s is polish.

`

var sections = map[byte]string{
	'D': "Discovery", 'W': "Challenge", 'R': "Registration", 'C': "Client ID metadata documents",
	'A': "Authorization and consent", 'T': "Tokens", 'P': "Proxy", 'M': "Transports and versions",
	'S': "Legacy SSE", 'X': "CORS, Origin and Host", 'L': "Local security and life cycle", 'N': "Tunnel",
}

func mark(g rows.Grade) string {
	switch g {
	case rows.Star:
		return "\u2605" // black star
	case rows.Full:
		return "\u25cf" // black circle
	}
	return "\u25cb" // white circle
}

func describe(r rows.Row) string {
	if r.Except == "" {
		return r.Behavior
	}
	return r.Behavior + " (" + r.Except + ")"
}

// list formats the tests of a row, grouped by package to keep the cell short.
func list(r rows.Row, tests []string) string {
	if len(tests) == 0 {
		if r.Later != "" {
			return "not built yet: " + r.Later
		}
		return "none yet"
	}
	var pkgs []string
	byPkg := make(map[string][]string)
	for _, t := range tests {
		pkg, name, _ := strings.Cut(t, " ")
		if !slices.Contains(pkgs, pkg) {
			pkgs = append(pkgs, pkg)
		}
		if name != "" {
			byPkg[pkg] = append(byPkg[pkg], "`"+name+"`")
		}
	}
	for i, pkg := range pkgs {
		if names := byPkg[pkg]; len(names) > 0 {
			pkgs[i] = pkg + ": " + strings.Join(names, ", ")
		}
	}
	return strings.Join(pkgs, "; ")
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
