package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/shim/shimtest/catalogue"
)

// revisions are the MCP revisions that have Streamable HTTP. The
// everything-server offers 2026-07-28 only when it is stateless.
var revisions = []struct {
	revision  string
	stateless []bool
}{
	{"2025-03-26", []bool{false}},
	{"2025-06-18", []bool{false}},
	{"2025-11-25", []bool{false, true}},
	{"2026-07-28", []bool{true}},
}

// TestM01TypeScriptClients drives the official TypeScript clients: register,
// consent, list, call and refresh. They must keep working after the program was
// killed and after the upstream's key was replaced.
func TestM01TypeScriptClients(t *testing.T) {
	typeScriptClients(t, startApp)
}

// typeScriptClients drives the clients against the program that start starts.
func typeScriptClients(t *testing.T, start func(testing.TB) *app) {
	testenv.Slow(t)
	npmBin(t)
	t.Parallel()
	type test struct {
		script, revision string
		stateless        bool
	}
	tests := []test{
		{"sdk-v1.mjs", "2025-11-25", false}, // it offers no other revision
		{"sdk-v1.mjs", "2025-11-25", true},
		{"client-v2.mjs", "auto", false},
		{"client-v2.mjs", "auto", true},
	}
	for _, r := range revisions {
		for _, stateless := range r.stateless {
			tests = append(tests, test{"client-v2.mjs", r.revision, stateless})
		}
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("M01 %s %s stateless=%v", tt.script, tt.revision, tt.stateless), func(t *testing.T) {
			g := newGate(t, everything(t, tt.stateless))
			a := start(t)
			e := a.addEndpoint("Everything", g.URL, "")
			s := startScript(t, a.npmEnv(), tt.script, a.url(e), tt.revision)

			var done report
			for done.Texts == nil {
				switch line := s.next(); {
				case line.Authorize != "":
					back := consent(t, a, line.Authorize)
					resp, err := http.Get(back)
					if err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
					g.refused.Store(0) // the trial of the key also sends a request without a key
				case line.Waiting == "restart":
					a.mustHaveTimeline(t)
					a.restart()
					s.goOn()
				case line.Waiting == "dead key":
					g.rotate(t)
					s.goOn()
				case line.Waiting == "new key":
					a.replaceKey(rotatedKey)
					s.goOn()
				case line.Done != nil:
					done = *line.Done
				}
			}
			done.check(t)
			if want := tt.revision; want != "auto" && done.Version != "" && done.Version != want {
				t.Errorf("the client speaks %s, want %s", done.Version, want)
			}
			if n := len(a.grants()); n != 1 {
				t.Errorf("there are %d grants, want 1", n)
			}
		})
	}
}

// consent pastes the key into the consent page and returns the redirect to the
// client.
func consent(t testing.TB, a *app, authorize string) string {
	t.Helper()
	if a.world != nil {
		authorize = continueLink(t, a, authorize)
	}
	p := shimtest.NewBrowser(t, a.origin).Consent(authorize, map[string]string{"api_key": apiKey, "action": "approve"})
	if p.Location == "" {
		t.Fatalf("consent ended at %s with %d and the words %q", p.URL.Path, p.Status, problemText(p.Body))
	}
	return p.Location
}

var (
	problemBlock = regexp.MustCompile(`(?s)id="problem".*?</p>`)
	anyTag       = regexp.MustCompile(`<[^>]*>`)
)

// problemText is the error message on a page.
func problemText(body string) string {
	text := anyTag.ReplaceAllString("<"+problemBlock.FindString(body), " ")
	return strings.Join(strings.Fields(text), " ")
}

// A report is what a client saw.
type report struct {
	Tools          int
	Texts          []string // the results of the calls: first, after the refresh, after the restart, with the new key
	Rejected       string   // the result of the call that was made with the dead key
	Rotated        bool
	Authorizations int
	Saved          int
	Version        string
}

func (r report) check(t *testing.T) {
	t.Helper()
	if r.Tools == 0 {
		t.Error("the client was offered no tools")
	}
	if len(r.Texts) != 4 {
		t.Fatalf("%d calls succeeded, want 4", len(r.Texts))
	}
	for i, text := range r.Texts {
		if text == "" || text != r.Texts[0] {
			t.Errorf("call %d answered %q, the first %q", i+1, text, r.Texts[0])
		}
	}
	if !strings.Contains(r.Rejected, catalogue.TextKeyRejected) {
		t.Errorf("with a dead key the call answered %q", r.Rejected)
	}
	if !r.Rotated {
		t.Error("the refresh token was not rotated")
	}
	if r.Authorizations != 1 {
		t.Errorf("the user was asked %d times, want once", r.Authorizations)
	}
	if r.Saved != 2 {
		t.Errorf("tokens were issued %d times, want 2: by the code and by the refresh", r.Saved)
	}
}

// A script is a running e2e/clients/*.mjs.
type script struct {
	t     *testing.T
	stdin io.Writer
	lines chan scriptLine
	errs  *testenv.Output
}

type scriptLine struct {
	Authorize string
	Waiting   string
	Done      *report
}

func startScript(t *testing.T, env []string, name string, args ...string) *script {
	t.Helper()
	cmd := npmCommand(t, "node", append([]string{"clients/" + name}, args...)...)
	cmd.Env = append(cmd.Env, env...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, stdin: stdin, lines: make(chan scriptLine), errs: new(testenv.Output)}
	cmd.Stderr = s.errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer cmd.Wait()
		defer close(s.lines)
		in := bufio.NewScanner(stdout)
		for in.Scan() {
			var line scriptLine
			if err := json.Unmarshal(in.Bytes(), &line); err != nil {
				fmt.Fprintf(s.errs, "%s\n", in.Bytes())
				continue
			}
			select {
			case s.lines <- line:
			case <-t.Context().Done():
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	return s
}

func (s *script) next() scriptLine {
	s.t.Helper()
	select {
	case line, ok := <-s.lines:
		if !ok {
			s.t.Fatalf("the client ended early and printed:\n%s", s.errs)
		}
		return line
	case <-time.After(time.Minute):
		s.t.Fatalf("the client said nothing for a minute; it printed:\n%s", s.errs)
	}
	return scriptLine{}
}

func (s *script) goOn() {
	s.t.Helper()
	if _, err := io.WriteString(s.stdin, "go\n"); err != nil {
		s.t.Fatal(err)
	}
}
