package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// An app is the built program with its own data folder. Set its fields before
// startWith; unset fields get a default.
type app struct {
	t      testing.TB
	exe    string
	tray   bool     // run the desktop app instead of serve
	args   []string // appended to our arguments
	env    []string // added to our environment
	dir    string
	addr   string // set at the first start, and kept across restarts
	origin string
	cmd    *exec.Cmd
	out    *testenv.Output // everything it has printed, on both streams
	world  *world          // where its clients are; nil means this machine
}

// startApp builds the program and serves on a free port.
func startApp(t testing.TB) *app {
	t.Helper()
	return startWith(t, &app{})
}

// startExe serves with another build of the program, and with additional
// environment variables.
func startExe(t testing.TB, exe string, env ...string) *app {
	t.Helper()
	return startWith(t, &app{exe: exe, env: env})
}

// startWith starts a and stops it when the test ends.
func startWith(t testing.TB, a *app) *app {
	t.Helper()
	a.t, a.out = t, new(testenv.Output)
	if a.exe == "" {
		a.exe = built(t, buildProgram)
	}
	if a.dir == "" {
		a.dir = filepath.Join(t.TempDir(), "data")
	}
	if a.addr == "" {
		a.addr = "127.0.0.1:0"
	}
	a.start()
	t.Cleanup(func() {
		a.kill()
		if t.Failed() {
			t.Logf("the program printed at the end:\n%s", tail(a.out.String(), 20_000))
		}
	})
	return a
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

var readyLine = regexp.MustCompile(`^ready local=(http://(\S+)) public=(\S+) dashboard=(\S+)$`)

func (a *app) start() {
	a.t.Helper()
	args := []string{"--addr", a.addr, "--keychain", "file", "--data-dir", a.dir, "--log-level", "debug"}
	if !a.tray {
		args = append([]string{"serve"}, args...)
	}
	cmd := exec.Command(a.exe, append(args, a.args...)...)
	cmd.Env = append(os.Environ(), a.env...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		a.t.Fatal(err)
	}
	cmd.Stderr = a.out
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.cmd = cmd
	ready := make(chan []string, 1)
	go func() {
		defer close(ready)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			io.WriteString(a.out, lines.Text()+"\n")
			if m := readyLine.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m
			}
		}
	}()
	select {
	case m, ok := <-ready:
		if !ok {
			a.t.Fatalf("the program ended without a ready line and printed:\n%s", a.out)
		}
		a.origin, a.addr = m[1], m[2]
	case <-time.After(patience):
		cmd.Process.Kill()
		a.t.Fatalf("no ready line within %v; the program printed:\n%s", patience, a.out)
	}
}

// kill ends the program as a power cut would.
func (a *app) kill() {
	if a.cmd == nil {
		return
	}
	a.cmd.Process.Kill()
	a.cmd.Wait()
	a.cmd = nil
}

// stop asks the program to end, and waits until it has.
func (a *app) stop() {
	a.t.Helper()
	if err := a.cmd.Process.Signal(os.Interrupt); err != nil {
		a.t.Fatal(err)
	}
	if err := a.cmd.Wait(); err != nil {
		a.t.Errorf("asked to end, the program ended with %v", err)
	}
	a.cmd = nil
}

// restart kills the program and starts it again on the same port, and waits
// until its clients can reach it.
func (a *app) restart() {
	a.t.Helper()
	a.kill()
	a.start()
	if a.world != nil {
		a.waitOnline()
	}
}

// run runs another command of the program and returns what it printed.
func (a *app) run(stdin string, args ...string) string {
	a.t.Helper()
	cmd := exec.Command(a.exe, append(args, "--data-dir", a.dir)...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		a.t.Fatalf("key2oauth %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return strings.TrimSpace(stdout.String())
}

// api calls the admin API and decodes the answer into out unless that is nil.
func (a *app) api(method, path string, body, out any) {
	a.t.Helper()
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			a.t.Fatal(err)
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, a.origin+path, r)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.run("", "token"))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	if resp.StatusCode/100 != 2 {
		a.t.Fatalf("%s %s = %s: %s", method, path, resp.Status, b)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			a.t.Fatalf("%s %s answered %q: %v", method, path, b, err)
		}
	}
}

// An endpointInfo is what the admin API returns for a new endpoint.
type endpointInfo struct {
	Slug  string `json:"slug"`
	MCP   string `json:"mcp_endpoint"`
	Local string `json:"local_mcp_endpoint"`
}

// addEndpoint adds an endpoint, with a saved key unless key is empty.
func (a *app) addEndpoint(name, upstream, key string) endpointInfo {
	a.t.Helper()
	body := map[string]string{"upstream_url": upstream, "display_name": name}
	if key != "" {
		body["api_key"] = key
	}
	var e endpointInfo
	a.api("POST", "/api/slugs", body, &e)
	return e
}

// A grantInfo is one element of GET /api/grants.
type grantInfo struct {
	ID           string `json:"id"`
	Slug         string `json:"slug"`
	ClientName   string `json:"client_name"`
	RedirectHost string `json:"redirect_host"`
	Credential   string `json:"credential"`
}

func (a *app) grants() []grantInfo {
	a.t.Helper()
	var answer struct {
		Grants []grantInfo `json:"grants"`
	}
	a.api("GET", "/api/grants", nil, &answer)
	return answer.Grants
}

// replaceKey gives the credential of the only grant a new key.
func (a *app) replaceKey(key string) {
	a.t.Helper()
	grants := a.grants()
	if len(grants) != 1 {
		a.t.Fatalf("there are %d grants, want 1", len(grants))
	}
	a.api("PUT", "/api/slugs/"+grants[0].Slug+"/key", map[string]string{"api_key": key, "credential": grants[0].Credential}, nil)
}

// ownerLink returns a one-time link that signs a browser in as the owner.
func (a *app) ownerLink() string {
	a.t.Helper()
	link := regexp.MustCompile(`http://\S+`).FindString(a.run("", "open", "--print"))
	if link == "" {
		a.t.Fatal("key2oauth open --print printed no link")
	}
	return link
}
