package shimtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// words matches the beginning of a sentence or a title; text for programs
// begins in lower case.
var words = regexp.MustCompile(`^[A-Z][a-z]+'?[a-z]* ([a-z%]|[A-Z][a-z])`)

// NoWords looks through the sources in a folder, and reports sentences for people
// outside the files that are its catalogue: there all of them can be read,
// corrected and one day translated in one place. It returns how many files it
// looked at.
func NoWords(t testing.TB, dir string, catalogue ...string) (n int) {
	t.Helper()
	for _, text := range []string{"There is no page.", "Delete %s?", "This request"} {
		if !words.MatchString(text) {
			t.Fatalf("%q is not taken for words", text)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") || slices.Contains(catalogue, f.Name()) {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, filepath.Join(dir, f.Name()), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		n++
		ast.Inspect(file, func(node ast.Node) bool {
			lit, ok := node.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			if s, err := strconv.Unquote(lit.Value); err == nil && words.MatchString(s) {
				t.Errorf("%s: %q belongs into the catalogue", fset.Position(lit.Pos()), s)
			}
			return true
		})
	}
	return n
}

// Text returns the sentence of the pages' catalogue that key names, as pages
// show it.
func Text(key string, args ...any) string { return web.Text(key, args...) }

// Sentences that handlers put into pages.
const (
	TextWrongNumberTitle = web.TextWrongNumberTitle
	TextTypeNumber       = web.TextTypeNumber
	TitleRequestOver     = web.TitleRequestOver
	TextDeletedTitle     = web.TextDeletedTitle
	TextOwnerForNew      = web.TextOwnerForNew
	TextTicketUsed       = web.TextTicketUsed
	TextSayYouKnow       = web.TextSayYouKnow
	TextDiskTrouble      = web.TextDiskTrouble
	TextDiskFull         = web.TextDiskFull
	TextDiskFullNext     = web.TextDiskFullNext
	TextTunnelOnline     = web.TextTunnelOnline // takes the public address
	TextTestPassed       = web.TextTestPassed
)

// Titles of what pages on a public origin, and those about a request from
// there, say.
var (
	TitleElsewhere    = web.MessageElsewhere.Title
	TitleWrongNumber  = web.MessageWrongNumber.Title
	TitleOtherBrowser = web.MessageOtherBrowser.Title
	TitleTooMany      = web.MessageTooMany.Title
	TitleApproved     = web.MessageApprovedElsewhere.Title
	TitleDenied       = web.MessageDeniedElsewhere.Title
)

// Notice returns what a page says after the form that key names.
func Notice(key string) string { return web.DoneNotices[key].Text }
