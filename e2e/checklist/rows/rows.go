// Package rows has the acceptance checklist: what clients, the MCP
// specification and the OAuth RFCs demand of the program, one row each.
package rows

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
)

//go:embed rows.tsv
var table string

// A Grade says what a failing row costs.
type Grade string

// The grades of a row.
const (
	Star     Grade = "star"     // a connection breaks or a security hole opens
	Full     Grade = "full"     // a requirement or a known trap
	Optional Grade = "optional" // polish
)

// A Row is one testable behavior.
type Row struct {
	ID       string
	Grade    Grade
	Behavior string
	Later    string // the missing part of the program that the row belongs to
	Except   string // what the row leaves out, and until when
}

var id = regexp.MustCompile(`^[A-Z][0-9]{2}$`)

// All returns the rows in the order of the table.
func All() ([]Row, error) {
	var rows []Row
	seen := make(map[string]bool)
	for n, line := range strings.Split(strings.TrimSuffix(table, "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := append(strings.Split(line, "\t"), "", "")
		if len(f) < 5 {
			return nil, fmt.Errorf("rows.tsv:%d: too few columns", n+1)
		}
		r := Row{ID: f[0], Grade: Grade(f[1]), Behavior: f[2], Later: f[3], Except: f[4]}
		switch {
		case !id.MatchString(r.ID):
			return nil, fmt.Errorf("rows.tsv:%d: %q is no row id", n+1, r.ID)
		case seen[r.ID]:
			return nil, fmt.Errorf("rows.tsv:%d: %s stands there twice", n+1, r.ID)
		case r.Grade != Star && r.Grade != Full && r.Grade != Optional:
			return nil, fmt.Errorf("rows.tsv:%d: %q is no grade", n+1, r.Grade)
		case r.Behavior == "":
			return nil, fmt.Errorf("rows.tsv:%d: %s says nothing", n+1, r.ID)
		}
		seen[r.ID] = true
		rows = append(rows, r)
	}
	return rows, nil
}
