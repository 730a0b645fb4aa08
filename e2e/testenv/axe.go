package testenv

import (
	"os"
	"path/filepath"
	"testing"
)

// Axe returns two scripts. The first loads axe-core into a page. The second
// checks the page, and its value is the promise of a list, which is empty if
// nothing is wrong. It leaves out the rule against automatic refresh: pages
// that continue automatically need one to work without scripts, and each has a
// link for readers who turned that off. e2e is the folder with the npm
// packages.
func Axe(t testing.TB, e2e string) (load, look string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(e2e, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		Skip(t, "needs the npm packages of the tests: npm ci in e2e")
	}
	return string(b) + "; true", `
		axe.run(document, {resultTypes: ["violations"], rules: {"meta-refresh": {enabled: false}}}).then(r => r.violations.flatMap(v =>
			v.nodes.map(n => v.id + ": " + v.help + ": " + n.html.slice(0, 160) + " " + n.any.concat(n.all, n.none).map(c => c.message).join("; "))))`
}
