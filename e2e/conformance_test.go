package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// npmBin is where npm puts the programs of e2e/package.json. All npm programs
// run under the node in that folder.
func npmBin(t testing.TB) string {
	t.Helper()
	bin, err := filepath.Abs("node_modules/.bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(bin, "node")); err != nil {
		testenv.Skip(t, `needs the npm packages of the tests: run "npm ci" in e2e`)
	}
	return bin
}

// npmCommand runs a program of e2e/node_modules.
func npmCommand(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	bin := npmBin(t)
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	return cmd
}

// TestM02Conformance checks that the suite's server scenarios score the same
// through the program as directly. The everything-server supports 2026-07-28
// only when it is stateless, and all of 2025-11-25 only when it is not. The
// other two combinations fail on their own, and must fail the same way.
func TestM02Conformance(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	for _, tt := range []struct {
		requirements string
		stateless    bool
		passes       bool // everything that counts passes directly
	}{
		{"2025-11-25", false, true},
		{"2025-11-25", true, false},
		{"2026-07-28", true, true},
		{"2026-07-28", false, false},
	} {
		t.Run(fmt.Sprintf("M02 %s stateless=%v", tt.requirements, tt.stateless), func(t *testing.T) {
			upstream := everything(t, tt.stateless)
			direct := conformance(t, upstream, tt.requirements)

			a := startApp(t)
			e := a.addEndpoint("Everything", newGate(t, upstream).URL, apiKey)
			through := conformance(t, forward(t, e.Local, signIn(t, a, e)), tt.requirements)

			t.Logf("%s, stateless=%v: direct %s; through key2oauth %s", tt.requirements, tt.stateless, direct.score(), through.score())
			if len(direct.checks) < 30 {
				t.Errorf("the suite ran %d scenarios directly, want at least 30", len(direct.checks))
			}
			if direct.conforms != tt.passes {
				t.Errorf("directly the suite says conforms=%v, want %v", direct.conforms, tt.passes)
			}
			if d := cmp.Diff(direct.checks, through.checks); d != "" {
				t.Errorf("the checks differ (-direct +through):\n%s", d)
			}
			if direct.conforms != through.conforms {
				t.Errorf("through key2oauth the suite says conforms=%v, directly %v", through.conforms, direct.conforms)
			}
		})
	}
}

// A verdict is the suite's result: for each scenario the outcomes of its
// checks, in order.
type verdict struct {
	checks   map[string][]string
	conforms bool // no check that the requirements count has failed
}

func (v verdict) score() string {
	counts := make(map[string]int)
	for _, checks := range v.checks {
		for _, c := range checks {
			_, status, _ := strings.Cut(c, " ")
			counts[status]++
		}
	}
	return fmt.Sprintf("%d scenarios, %d checks passed, %d failed", len(v.checks), counts["SUCCESS"], counts["FAILURE"])
}

// scenarioDir matches the folder that the suite creates for one scenario.
var scenarioDir = regexp.MustCompile(`^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$`)

func conformance(t *testing.T, url, requirements string) verdict {
	t.Helper()
	dir := t.TempDir()
	cmd := npmCommand(t, "conformance", "server", "--url", url, "--requirements", requirements, "-o", dir)
	out, err := cmd.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatal(err)
	}
	v := verdict{checks: make(map[string][]string), conforms: err == nil}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		m := scenarioDir.FindStringSubmatch(e.Name())
		if m == nil {
			t.Fatalf("cannot tell the scenario from %q", e.Name())
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name(), "checks.json"))
		if err != nil {
			t.Fatal(err)
		}
		var checks []struct{ ID, Status string }
		if err := json.Unmarshal(b, &checks); err != nil {
			t.Fatal(err)
		}
		list := make([]string, 0, len(checks))
		for _, c := range checks {
			list = append(list, c.ID+" "+c.Status)
		}
		slices.Sort(list)
		v.checks[m[1]] = list
	}
	if len(v.checks) == 0 {
		t.Fatalf("the suite left no results and printed:\n%s", out)
	}
	return v
}

// forward starts a small forwarder that adds the bearer token, because the
// suite cannot send one. It leaves a foreign Host header alone: the suite's
// check for DNS rebinding sends one.
func forward(t *testing.T, mcpURL, token string) string {
	t.Helper()
	u, err := url.Parse(mcpURL)
	if err != nil {
		t.Fatal(err)
	}
	var own string
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.URL.Path = u.Scheme, u.Host, u.Path
		r.Out.URL.RawPath = ""
		if r.In.Host == own {
			r.Out.Host = u.Host
		}
		r.Out.Header.Set("Authorization", "Bearer "+token)
	}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { relay(proxy, w, r) }))
	own = srv.Listener.Addr().String()
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv.URL
}

// signIn registers a client, passes consent and returns an access token.
func signIn(t *testing.T, a *app, e endpointInfo) string {
	t.Helper()
	c := shimtest.NewOAuthClient(t, a.origin, "http://127.0.0.1:1/callback") // nothing listens there
	c.Resource = e.Local
	c.Connect(shimtest.NewBrowser(t, a.origin), apiKey)
	return c.Access
}
