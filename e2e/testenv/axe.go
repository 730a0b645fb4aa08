package testenv

import (
	"os"
	"path/filepath"
	"testing"
)

// Axe returns two scripts: one loads axe-core into a page, and one checks the
// page with all of its rules but one: pages that continue automatically do so
// by a refresh, because they must without scripts, and each has a link for
// readers who turned that off. The second script's value is the promise of a
// list, empty if nothing is wrong. e2e is the folder with the npm packages.
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
