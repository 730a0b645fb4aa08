package e2e

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/key2oauth/key2oauth"

// layers lists what each package may import: our packages by folder, modules by
// path. Arrows point down only. A name that ends in "/..." stands for the whole
// tree. A package that is missing here fails the test, because its place is a
// decision to make.
var layers = map[string][]string{
	"cmd/key2oauth": {
		"cmd/key2oauth/internal/...", "shim", "shim/api", "shim/release", "tunnel", "tunnel/external", "tunnel/ngrok",
		"github.com/spf13/cobra", "github.com/spf13/pflag",
	},
	"cmd/key2oauth/internal/autostart": {
		"shim/atomicfile", "golang.org/x/sys",
	},
	"cmd/key2oauth/internal/browser": {
		"github.com/pkg/browser",
	},
	"cmd/key2oauth/internal/cli": {
		"cmd/key2oauth/internal/browser", "cmd/key2oauth/internal/instance", "cmd/key2oauth/internal/listen", "cmd/key2oauth/internal/rows", "cmd/key2oauth/internal/userpath",
		"shim", "shim/api", "shim/display", "github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x/term",
	},
	"cmd/key2oauth/internal/licenses": {
		"cmd/key2oauth/internal/cli", "github.com/spf13/cobra",
	},
	"cmd/key2oauth/internal/licenses/gen": {
		"cmd/key2oauth/internal/licenses", "cmd/key2oauth/internal/licenses/golist",
	},
	"cmd/key2oauth/internal/licenses/golist": {},
	"cmd/key2oauth/internal/logfile":         {},
	"cmd/key2oauth/internal/rows": {
		"shim", "shim/api",
	},
	"cmd/key2oauth/internal/manual": {
		"cmd/key2oauth/internal/cli", "github.com/spf13/cobra", "github.com/spf13/pflag",
	},
	"cmd/key2oauth/internal/desktop": {
		"cmd/key2oauth/internal/autostart", "cmd/key2oauth/internal/browser", "cmd/key2oauth/internal/clipboard",
		"shim", "shim/api", "shim/display", "tray", "tray/notify",
	},
	"cmd/key2oauth/internal/listen": {
		"shim/display",
	},
	"cmd/key2oauth/internal/sample": {
		"github.com/modelcontextprotocol/go-sdk",
	},
	"cmd/key2oauth/internal/clipboard": {
		"github.com/atotto/clipboard",
	},
	"cmd/key2oauth/internal/instance": {
		"shim/atomicfile", "github.com/gofrs/flock",
	},
	"cmd/key2oauth/internal/userpath": {
		"golang.org/x/sys",
	},
	"cmd/key2oauth/packaging/gen": {
		"cmd/key2oauth/internal/licenses", "icons", "github.com/tc-hib/winres",
	},

	"cmd/key2oauth/packaging/newest": {
		"shim/release",
	},
	"cmd/key2oauth/packaging/sbom": {
		"cmd/key2oauth/internal/licenses",
	},

	"icons":     {},
	"icons/gen": {},

	"tray": {
		"icons", "tray/internal/...", "fyne.io/systray", "golang.org/x/sys",
	},
	"tray/internal/dbusmenu": {
		"github.com/godbus/dbus/v5",
	},
	"tray/internal/newest": {},
	"tray/internal/words":  {},
	"tray/internal/panel": {
		"tray/internal/sessionbus", "github.com/godbus/dbus/v5", "golang.org/x/sys",
	},
	"tray/internal/pixels": {},
	"tray/internal/sessionbus": {
		"github.com/godbus/dbus/v5",
	},
	"tray/notify": {
		"icons", "tray", "tray/internal/...",
		"git.sr.ht/~jackmordaunt/go-toast", "github.com/esiqveland/notify", "github.com/godbus/dbus/v5", "golang.org/x/sys",
	},

	"shim/api": {
		"shim/display",
	},
	"shim": {
		"shim/api", "shim/atomicfile", "shim/internal/...", "tunnel",
	},
	"shim/atomicfile":     {},
	"shim/release":        {},
	"shim/display":        {}, // and nothing from shim, because cmd imports it too
	"shim/internal/nanos": {},
	"shim/internal/activity": {
		"shim/display", "shim/internal/nanos",
	},
	"shim/internal/apps": {
		"shim/display",
	},
	"shim/internal/changes": {},
	"shim/internal/owner": {
		"shim/internal/httpx", "shim/internal/oauth", "shim/internal/web", "golang.org/x/sys",
	},
	"shim/internal/limits": {
		"golang.org/x/time",
	},
	"shim/internal/problem": {
		"shim/internal/httpx",
	},
	"shim/internal/endpoint": {
		"shim/display", "shim/internal/problem", "shim/internal/safedial",
	},
	"shim/internal/reach": {
		"shim/api", "shim/internal/endpoint", "shim/internal/httpx", "shim/internal/parcel", "shim/internal/problem", "shim/internal/vault", "shim/internal/web", "tunnel", "tunnel/external",
	},
	"shim/internal/httpx":    {},
	"shim/internal/safedial": {},
	"shim/internal/sse":      {},
	"shim/internal/pulse": {
		"shim/internal/endpoint", "shim/internal/standing", "shim/internal/trial", "shim/internal/upstream",
	},
	"shim/internal/roll": {},
	"shim/internal/formkeys": {
		"shim/internal/endpoint",
	},
	"shim/internal/decoy": {
		"shim/internal/endpoint",
	},
	"shim/internal/standing": {
		"shim/api", "shim/internal/endpoint", "shim/internal/problem", "shim/internal/web",
	},
	"shim/internal/connect": {
		"shim/api", "shim/internal/apps", "shim/internal/control", "shim/internal/endpoint", "shim/internal/httpx", "shim/internal/owner",
		"shim/internal/timeline", "shim/internal/web",
	},
	"shim/internal/shell": {"shim/api", "shim/internal/owner", "shim/internal/web"},
	"shim/internal/servers": {
		"shim/api", "shim/internal/control", "shim/internal/endpoint", "shim/internal/httpx", "shim/internal/oauth", "shim/internal/owner",
		"shim/internal/problem", "shim/internal/samples", "shim/internal/shell", "shim/internal/timeline", "shim/internal/web",
	},
	"shim/internal/samples": {"shim/api", "shim/internal/control", "shim/internal/httpx", "shim/internal/owner", "shim/internal/web"},
	"shim/internal/control": {
		"shim/api", "shim/display", "shim/internal/changes", "shim/internal/cimd", "shim/internal/endpoint", "shim/internal/formkeys", "shim/internal/guard", "shim/internal/httpx", "shim/internal/oauth", "shim/internal/problem", "shim/internal/pulse",
		"shim/internal/standing", "shim/internal/timeline", "shim/internal/trial", "shim/internal/upstream", "shim/internal/vault", "shim/internal/web",
	},
	"shim/internal/mover": {
		"shim/api", "shim/internal/control", "shim/internal/endpoint", "shim/internal/httpx", "shim/internal/oauth", "shim/internal/parcel",
		"shim/internal/problem", "shim/internal/reach", "shim/internal/vault", "shim/internal/web",
	},
	"shim/internal/movepages": {
		"shim/internal/changes", "shim/internal/control", "shim/internal/endpoint", "shim/internal/httpx", "shim/internal/mover",
		"shim/internal/owner", "shim/internal/parcel", "shim/internal/problem", "shim/internal/web",
	},
	"shim/internal/dashboard": {
		"shim/api", "shim/internal/activity", "shim/internal/changes", "shim/internal/control", "shim/internal/doctor", "shim/internal/endpoint",
		"shim/internal/httpx", "shim/internal/owner", "shim/internal/problem", "shim/internal/reach",
		"shim/internal/samples", "shim/internal/shell", "shim/internal/timeline", "shim/internal/web", "tunnel",
	},
	"shim/internal/adminapi": {
		"shim/api", "shim/internal/activity", "shim/internal/changes", "shim/internal/control", "shim/internal/doctor",
		"shim/internal/httpx", "shim/internal/owner", "shim/internal/problem", "shim/internal/reach", "shim/internal/timeline", "shim/internal/web", "tunnel",
	},
	// The path of a call has no pages, no tunnel and no consent code.
	"shim/internal/origin": {
		"shim/internal/httpx", "shim/internal/limits", "shim/internal/oauth",
	},
	"shim/internal/calls": {
		"shim/internal/activity", "shim/internal/changes", "shim/internal/endpoint", "shim/internal/httpx", "shim/internal/oauth",
		"shim/internal/proxy", "shim/internal/timeline", "shim/internal/upstream", "shim/internal/vault",
	},
	"shim/internal/signin": {
		"shim/api", "shim/display", "shim/internal/changes", "shim/internal/cimd", "shim/internal/control", "shim/internal/endpoint", "shim/internal/httpx",
		"shim/internal/limits", "shim/internal/oauth", "shim/internal/owner", "shim/internal/problem", "shim/internal/timeline",
		"shim/internal/trial", "shim/internal/web",
	},
	"shim/internal/oauth": {
		"shim/display", "shim/internal/httpx",
	},
	"shim/internal/cimd": {
		"shim/display", "shim/internal/oauth", "shim/internal/safedial", "golang.org/x/time",
	},
	"shim/internal/timeline": {
		"shim/api", "shim/display", "shim/internal/endpoint",
	},
	"shim/internal/web": {
		"shim/api", "shim/display", "shim/internal/apps", "shim/internal/endpoint", "shim/internal/httpx",
	},
	"shim/internal/upstream": {
		"shim/display", "shim/internal/coding", "shim/internal/endpoint", "shim/internal/guard", "shim/internal/idle", "shim/internal/refusal",
		"shim/internal/safedial", "shim/internal/sse", "shim/internal/wire",
	},
	"shim/internal/refusal": {
		"shim/internal/sse",
	},
	"shim/internal/coding": {
		"github.com/andybalholm/brotli",
	},
	"shim/internal/idle": {
		"shim/internal/wire",
	},
	"shim/internal/trial": {
		"shim/display", "shim/internal/coding", "shim/internal/decoy", "shim/internal/endpoint", "shim/internal/guard", "shim/internal/refusal", "shim/internal/safedial", "shim/internal/sse",
		"shim/internal/upstream",
	},
	"shim/internal/wire": {},
	"shim/internal/guard": {
		"shim/internal/sse",
	},
	"shim/internal/proxy": {
		"shim/internal/coding", "shim/internal/endpoint", "shim/internal/guard", "shim/internal/refusal", "shim/internal/sse", "shim/internal/upstream",
	},

	// Checks of everything else.
	"shim/internal/selfcheck": {
		"shim/internal/endpoint", "shim/internal/oauth", "shim/internal/proxy", "shim/internal/upstream",
	},
	"shim/internal/doctor": {
		"shim/api", "shim/display", "shim/internal/endpoint", "shim/internal/selfcheck", "shim/internal/sse", "shim/internal/trial",
		"shim/internal/upstream", "shim/internal/web", "tunnel", "golang.org/x/sys",
	},

	// Storage.
	"shim/internal/datadir": {
		"golang.org/x/sys",
	},
	"shim/internal/ring": {
		"shim/internal/endpoint", "github.com/godbus/dbus/v5", "github.com/zalando/go-keyring",
	},
	"shim/internal/keychain": {
		"shim/atomicfile", "shim/internal/datadir", "shim/internal/endpoint", "shim/internal/ring",
	},
	"shim/internal/dbpages": {},
	"shim/internal/records": {
		"shim/internal/dbpages", "go.etcd.io/bbolt",
	},
	"shim/internal/statefile": {
		"shim/atomicfile", "shim/internal/datadir", "shim/internal/dbpages", "shim/internal/records", "go.etcd.io/bbolt",
	},
	"shim/internal/ledger": {
		"shim/internal/activity", "shim/internal/nanos", "shim/internal/oauth", "shim/internal/records", "shim/internal/roll", "shim/internal/statefile",
		"go.etcd.io/bbolt",
	},
	"shim/internal/settings": {
		"shim/internal/records", "shim/internal/statefile", "go.etcd.io/bbolt",
	},
	"shim/internal/stored": {
		"shim/internal/endpoint", "shim/internal/records", "go.etcd.io/bbolt",
	},
	"shim/internal/sealed": {
		"shim/internal/endpoint", "shim/internal/keychain", "shim/internal/ledger", "shim/internal/oauth", "shim/internal/parcel", "shim/internal/records",
		"shim/internal/statefile", "shim/internal/stored", "go.etcd.io/bbolt",
	},
	"shim/internal/parcel": {
		"shim/display", "shim/internal/endpoint", "shim/internal/oauth", "shim/internal/problem", "shim/internal/safedial", "filippo.io/age",
	},
	"shim/internal/vault": {
		"shim/atomicfile", "shim/internal/datadir",
		"shim/internal/endpoint", "shim/internal/keychain", "shim/internal/ledger", "shim/internal/oauth", "shim/internal/parcel", "shim/internal/records",
		"shim/internal/sealed", "shim/internal/settings", "shim/internal/statefile", "shim/internal/stored", "go.etcd.io/bbolt",
	},

	"tunnel": {},
	"tunnel/external": {
		"tunnel",
	},
	"tunnel/ngrok": {
		"tunnel", "golang.ngrok.com/ngrok/v2",
	},

	// Stand-ins for tests. The program must not import them.
	"shim/shimtest": {
		"shim/internal/web", "github.com/modelcontextprotocol/go-sdk",
	},
	"shim/shimtest/conversation": {},
	"shim/shimtest/relay":        {},
	"shim/shimtest/catalogue": {
		"shim/internal/doctor", "shim/internal/endpoint", "shim/internal/proxy", "shim/internal/timeline", "shim/internal/web",
	},
	"shim/shimtest/fill": {
		"shim/internal/keychain", "shim/internal/oauth", "shim/internal/vault",
	},
	"shim/shimtest/keyringtest": {
		"e2e/testenv", "github.com/godbus/dbus/v5",
	},
	"tunnel/tunneltest": {
		"tunnel/tunneltest/internal/...", "golang.ngrok.com/muxado/v2",
	},
	"tunnel/tunneltest/internal/authority": {},
	"tunnel/tunneltest/internal/line":      {},
	"tray/traytest": {
		"e2e/testenv", "github.com/godbus/dbus/v5",
	},

	"bench": {
		"shim/shimtest", "shim/shimtest/fill", "tray/traytest", "tunnel/tunneltest",
	},

	"e2e/checklist": {
		"e2e/checklist/rows",
	},
	"e2e/checklist/rows": {},
	"e2e/red": {
		"e2e/checklist/rows",
	},
	"e2e/testenv": {},
}

// linked is the list of modules allowed in the shipped program, on all systems.
var linked = []string{
	"filippo.io/age",
	"filippo.io/hpke",
	"fyne.io/systray",
	"git.sr.ht/~jackmordaunt/go-toast",
	"github.com/andybalholm/brotli",
	"github.com/atotto/clipboard",
	"github.com/danieljoos/wincred",
	"github.com/esiqveland/notify",
	"github.com/go-ole/go-ole",
	"github.com/godbus/dbus/v5",
	"github.com/gofrs/flock",
	"github.com/google/jsonschema-go",
	"github.com/inconshreveable/mousetrap",
	"github.com/jpillora/backoff",
	module,
	"github.com/modelcontextprotocol/go-sdk",
	"github.com/pkg/browser",
	"github.com/segmentio/asm",
	"github.com/segmentio/encoding",
	"github.com/spf13/cobra",
	"github.com/spf13/pflag",
	"github.com/yosida95/uritemplate/v3",
	"github.com/zalando/go-keyring",
	"go.etcd.io/bbolt",
	"go.uber.org/multierr",
	"golang.ngrok.com/muxado/v2",
	"golang.ngrok.com/ngrok/v2",
	"golang.org/x/crypto",
	"golang.org/x/net",
	"golang.org/x/oauth2",
	"golang.org/x/sync",
	"golang.org/x/sys",
	"golang.org/x/term",
	"golang.org/x/time",
	"google.golang.org/protobuf",
}

func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	for pkg, imports := range importsOfAll(t) {
		allowed, ok := layers[pkg]
		if !ok && len(imports) > 0 {
			t.Errorf("%s is in no layer; add it to layers with what it may import", pkg)
			continue
		}
		for imp := range imports {
			if !permits(allowed, imp) {
				t.Errorf("%s imports %s; its layer permits %q", pkg, imp, allowed)
			}
		}
		for _, a := range allowed {
			used := false
			for imp := range imports {
				used = used || permits([]string{a}, imp)
			}
			if !used {
				t.Errorf("%s does not import %s; take it out of layers", pkg, a)
			}
		}
	}
}

// importsOfAll lists what each package imports on any system, without the
// standard library.
func importsOfAll(t *testing.T) map[string]map[string]bool {
	std := map[string]bool{"C": true}
	for _, p := range goList(t, nil, "std") {
		std[p] = true
	}
	all := make(map[string]map[string]bool)
	for _, goos := range []string{"linux", "windows", "darwin"} {
		env := []string{"GOOS=" + goos, "CGO_ENABLED=1"}
		for _, line := range goList(t, env, "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...") {
			f := strings.Fields(line)
			pkg := strings.TrimPrefix(f[0], module+"/")
			if all[pkg] == nil {
				all[pkg] = make(map[string]bool)
			}
			for _, imp := range f[1:] {
				if !std[imp] {
					all[pkg][strings.TrimPrefix(imp, module+"/")] = true
				}
			}
		}
	}
	return all
}

// TestShimStandsAlone checks that a program which uses shim links neither a
// tunnel service nor a tray.
func TestShimStandsAlone(t *testing.T) {
	t.Parallel()
	for _, p := range goList(t, nil, "-deps", "./shim") {
		for _, module := range []string{"golang.ngrok.com", "fyne.io/systray", "github.com/esiqveland/notify"} {
			if p == module || strings.HasPrefix(p, module+"/") {
				t.Errorf("shim links %s", p)
			}
		}
	}
}

// TestCallsHaveNoPages checks that nothing on the way of a call links a page, a
// tunnel or consent, not even by way of another room.
func TestCallsHaveNoPages(t *testing.T) {
	t.Parallel()
	elsewhere := []string{
		"shim/internal/web", "shim/internal/dashboard", "shim/internal/connect", "shim/internal/adminapi", "shim/internal/signin", "shim/internal/control",
		"shim/internal/owner", "shim/internal/reach", "shim/internal/standing", "shim/internal/pulse", "shim/internal/trial", "shim/internal/cimd", "tunnel",
	}
	for _, p := range goList(t, nil, "-deps", "./shim/internal/origin", "./shim/internal/calls", "./shim/internal/proxy", "./shim/internal/upstream") {
		if pkg := strings.TrimPrefix(p, module+"/"); slices.Contains(elsewhere, pkg) || strings.HasPrefix(pkg, "tunnel/") {
			t.Errorf("the way of a call links %s", pkg)
		}
	}
}

// TestRoomsAreListed holds the list of parts in the documentation of shim to the
// packages that there are.
func TestRoomsAreListed(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../shim/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rooms, _ := strings.Cut(string(doc), "# Rooms")
	rooms, _, _ = strings.Cut(rooms, "Arrows point down")
	listed := strings.FieldsFunc(rooms, func(r rune) bool { return r < 'a' || r > 'z' })
	for pkg := range layers {
		name := strings.TrimPrefix(pkg, "shim/internal/")
		if name != pkg && !slices.Contains(listed, name) {
			t.Errorf("the list of rooms in shim/doc.go does not name %s", name)
		}
	}
}

// permits reports whether allowed contains imp or a module that contains it.
func permits(allowed []string, imp string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool {
		if tree, ok := strings.CutSuffix(a, "/..."); ok {
			return imp == tree || strings.HasPrefix(imp, tree+"/")
		}
		// Only modules have a dot in their first element.
		host, _, _ := strings.Cut(a, "/")
		return imp == a || strings.Contains(host, ".") && strings.HasPrefix(imp, a+"/")
	})
}

// TestLinkedModules compares the program's modules with a list, which makes a
// new module visible in review.
func TestLinkedModules(t *testing.T) {
	t.Parallel()
	var got []string
	for _, goos := range []string{"linux", "windows", "darwin"} {
		env := []string{"GOOS=" + goos, "CGO_ENABLED=0"}
		got = append(got, goList(t, env, "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/key2oauth")...)
	}
	slices.Sort(got)
	got = slices.Compact(got)
	for _, m := range got {
		if !slices.Contains(linked, m) {
			t.Errorf("the program links %s, which the list does not name", m)
		}
	}
	for _, m := range linked {
		if !slices.Contains(got, m) {
			t.Errorf("the list names %s, which the program does not link", m)
		}
	}
}

// eachSource calls fn for each Go file of the repository that is no test.
func eachSource(t *testing.T, fn func(name string, src []byte) error) {
	t.Helper()
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() != ".." && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return fn(name, src)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRoomsAreSmall fails for a package of 1,500 lines or more, without its tests:
// it holds more than one idea, so one of them should become a room of its own. The
// exceptions are one idea each.
func TestRoomsAreSmall(t *testing.T) {
	t.Parallel()
	const limit = 1500
	oneIdea := []string{"shim/internal/oauth", "shim/internal/proxy", "shim/internal/web", "bench"}
	lines := make(map[string]int)
	eachSource(t, func(name string, src []byte) error {
		lines[strings.TrimPrefix(filepath.ToSlash(filepath.Dir(name)), "../")] += bytes.Count(src, []byte("\n"))
		return nil
	})
	if lines["shim"] == 0 {
		t.Fatal("no package was found")
	}
	for pkg, n := range lines {
		if n >= limit && !slices.Contains(oneIdea, pkg) {
			t.Errorf("%s has %d lines, want fewer than %d", pkg, n, limit)
		}
	}
}

// TestBudgets lists the files and functions that are too long to read in one
// sitting, and fails for those far over the limit.
func TestBudgets(t *testing.T) {
	t.Parallel()
	const file, fileLimit, function, functionLimit = 500, 700, 80, 130
	eachSource(t, func(name string, src []byte) error {
		if n := bytes.Count(src, []byte("\n")); n > fileLimit {
			t.Errorf("%s has %d lines, at most %d are fine", name, n, file)
		} else if n > file {
			t.Logf("%s has %d lines", name, n)
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
			if n > functionLimit {
				t.Errorf("%s: %s has %d lines, at most %d are fine", name, fn.Name.Name, n, function)
			} else if n > function {
				t.Logf("%s: %s has %d lines", name, fn.Name.Name, n)
			}
		}
		return nil
	})
}

func goList(t *testing.T, env []string, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	lines := strings.Split(string(out), "\n")
	return slices.DeleteFunc(lines, func(l string) bool { return strings.TrimSpace(l) == "" })
}
