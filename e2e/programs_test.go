package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// TestM01MCPRemote drives mcp-remote, which handles the sign-in and serves the
// upstream on its standard input and output.
func TestM01MCPRemote(t *testing.T) {
	mcpRemote(t, startApp)
}

// mcpRemote drives it against the program that start starts.
func mcpRemote(t *testing.T, start func(testing.TB) *app) {
	testenv.Slow(t)
	npmBin(t)
	t.Parallel()
	for _, tt := range []struct {
		protocol  string
		stateless bool
	}{
		{"legacy", false},
		{"auto", true},
	} {
		t.Run("M01 mcp-remote "+tt.protocol, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, everything(t, tt.stateless))
			a := start(t)
			e := a.addEndpoint("Everything", g.URL, "")
			h := newHome(t, a.npmEnv())
			cmd := h.command("mcp-remote", a.url(e), "--protocol", tt.protocol)
			stderr := new(testenv.Output)
			cmd.Stderr = stderr
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("mcp-remote printed:\n%s", stderr)
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()

			// It may ask for the sign-in during the handshake, so connect in the
			// background.
			type connected struct {
				session *mcp.ClientSession
				err     error
			}
			done := make(chan connected, 1)
			go func() {
				s, err := mcp.NewClient(&mcp.Implementation{Name: "e2e", Version: "1"}, nil).Connect(ctx,
					&mcp.CommandTransport{Command: cmd}, nil)
				done <- connected{s, err}
			}()
			h.approve(a, g)
			c := <-done
			if c.err != nil {
				t.Fatal(c.err)
			}
			s := c.session
			defer s.Close()

			list, err := s.ListTools(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			r := report{Tools: len(list.Tools), Texts: []string{simpleText(ctx, t, s)}}
			tokens := h.file("mcp-remote-v1/*_tokens.json")
			issued := map[string]bool{storedToken(t, tokens): true}
			m := readJSON(t, tokens)
			m["expires_at"] = 1 // long ago, so the next request refreshes first
			writeJSON(t, tokens, m)
			r.Texts = append(r.Texts, simpleText(ctx, t, s))
			issued[storedToken(t, tokens)] = true
			r.Rotated = len(issued) == 2
			a.mustHaveTimeline(t)
			a.restart()
			r.Texts = append(r.Texts, simpleText(ctx, t, s))
			g.rotate(t)
			r.Rejected = deadText(ctx, t, s)
			a.replaceKey(rotatedKey)
			r.Texts = append(r.Texts, simpleText(ctx, t, s))
			issued[storedToken(t, tokens)] = true
			r.Authorizations, r.Saved = len(h.opened()), len(issued)
			r.check(t)
			if n := len(a.grants()); n != 1 {
				t.Errorf("there are %d grants, want 1", n)
			}
		})
	}
}

// TestM01Inspector drives the MCP Inspector's command line. Each run is a
// separate client that uses the sign-in of the first.
func TestM01Inspector(t *testing.T) {
	inspectors(t, startApp)
}

// inspectors drives it against the program that start starts.
func inspectors(t *testing.T, start func(testing.TB) *app) {
	testenv.Slow(t)
	npmBin(t)
	t.Parallel()
	for _, tt := range []struct {
		era       string
		stateless bool
	}{
		{"legacy", false},
		{"auto", true},
	} {
		t.Run("M01 Inspector "+tt.era, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, everything(t, tt.stateless))
			a := start(t)
			e := a.addEndpoint("Everything", g.URL, "")
			h := newHome(t, a.npmEnv())
			i := &inspector{home: h, args: []string{"--cli", "--format", "json", "--server-url", a.url(e), "--transport", "http",
				"--protocol-era", tt.era, "--callback-url", "http://" + freeAddr(t) + "/oauth/callback"}}

			// The first run waits for the sign-in.
			list := i.start("--method", "tools/list")
			h.approve(a, g)
			r := report{Tools: len(list.answer().Result.Tools), Texts: []string{i.simpleText()}}
			issued := map[string]bool{i.refreshToken(): true}
			i.forget()
			r.Texts = append(r.Texts, i.simpleText())
			issued[i.refreshToken()] = true
			r.Rotated = len(issued) == 2
			a.mustHaveTimeline(t)
			a.restart()
			r.Texts = append(r.Texts, i.simpleText())
			g.rotate(t)
			// The handshake already fails with the message.
			r.Rejected = i.start(simpleTextArgs...).answer().Error.Message
			a.replaceKey(rotatedKey)
			r.Texts = append(r.Texts, i.simpleText())
			issued[i.refreshToken()] = true
			r.Authorizations, r.Saved = len(h.opened()), len(issued)
			r.check(t)
			if n := len(a.grants()); n != 1 {
				t.Errorf("there are %d grants, want 1", n)
			}
		})
	}
}

// An inspector is the MCP Inspector's command line with the arguments that all
// its runs share.
type inspector struct {
	*home
	args []string
}

// simpleTextArgs call a tool with the sign-in that is stored.
var simpleTextArgs = []string{"--stored-auth-only", "--method", "tools/call", "--tool-name", "test_simple_text"}

func (i *inspector) start(args ...string) *inspectorRun {
	i.t.Helper()
	r := &inspectorRun{t: i.t, cmd: i.command("mcp-inspector", append(slices.Clone(i.args), args...)...)}
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	if err := r.cmd.Start(); err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() { r.cmd.Process.Kill() })
	return r
}

// simpleText returns the result of the tool, which must succeed.
func (i *inspector) simpleText() string {
	i.t.Helper()
	r := i.start(simpleTextArgs...)
	content := r.answer().Result.Content
	if len(content) != 1 {
		i.t.Fatalf("the Inspector printed:\n%s%s", &r.stdout, &r.stderr)
	}
	return content[0].Text
}

// tokens returns the name and the content of the only stored secret.
func (i *inspector) tokens() (name string, tokens map[string]any) {
	i.t.Helper()
	secrets, _ := readJSON(i.t, i.file("secrets.json"))["secrets"].(map[string]any)
	if len(secrets) != 1 {
		i.t.Fatalf("the Inspector stored %d secrets, want 1", len(secrets))
	}
	for n, s := range secrets {
		name = n
		if err := json.Unmarshal([]byte(s.(string)), &tokens); err != nil {
			i.t.Fatal(err)
		}
	}
	return name, tokens
}

func (i *inspector) refreshToken() string {
	i.t.Helper()
	_, tokens := i.tokens()
	token, _ := tokens["refresh_token"].(string)
	return token
}

// forget replaces the access token with an unknown one, which forces the next
// request to refresh.
func (i *inspector) forget() {
	i.t.Helper()
	name, tokens := i.tokens()
	tokens["access_token"] = "not-a-token"
	b, err := json.Marshal(tokens)
	if err != nil {
		i.t.Fatal(err)
	}
	file := i.file("secrets.json")
	m := readJSON(i.t, file)
	m["secrets"] = map[string]any{name: string(b)}
	writeJSON(i.t, file, m)
}

// An inspectorRun is one run of the command line.
type inspectorRun struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

// inspectorAnswer is the output of a run: a result on standard output, or the
// error as the last line of standard error.
type inspectorAnswer struct {
	Result struct {
		Tools   []struct{ Name string }
		Content []struct{ Text string }
	}
	Error struct{ Message string }
}

// answer waits for the run to end.
func (r *inspectorRun) answer() inspectorAnswer {
	r.t.Helper()
	timer := time.AfterFunc(time.Minute, func() { r.cmd.Process.Kill() })
	defer timer.Stop()
	out := &r.stdout
	if err := r.cmd.Wait(); err != nil {
		out = &r.stderr
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var a inspectorAnswer
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &a); err != nil {
		r.t.Fatalf("the Inspector printed:\n%s%s", &r.stdout, &r.stderr)
	}
	return a
}

// A home is the home folder of a program that signs in with a browser. The
// browser is a script that only records what it was told to open.
type home struct {
	t   *testing.T
	dir string
	env []string // the rest of the environment
}

func newHome(t *testing.T, env []string) *home {
	t.Helper()
	h := &home{t: t, dir: t.TempDir(), env: env}
	browser := "#!/bin/sh\nprintf '%s\\n' \"$1\" >>'" + filepath.Join(h.dir, "opened") + "'\n"
	if err := os.WriteFile(filepath.Join(h.dir, "xdg-open"), []byte(browser), 0o700); err != nil {
		t.Fatal(err)
	}
	return h
}

// command runs a program of e2e/node_modules in this home, without a desktop.
func (h *home) command(name string, args ...string) *exec.Cmd {
	h.t.Helper()
	cmd := npmCommand(h.t, name, args...)
	cmd.Env = append(append(cmd.Env, h.env...),
		"PATH="+npmBin(h.t)+":"+h.dir+":"+os.Getenv("PATH"), "BROWSER="+filepath.Join(h.dir, "xdg-open"),
		"XDG_CURRENT_DESKTOP=", "DESKTOP_SESSION=", "DISPLAY=", "WAYLAND_DISPLAY=",
		"HOME="+h.dir, "MCP_REMOTE_CONFIG_DIR="+h.dir,
		"MCP_STORAGE_DIR="+h.dir, "MCP_INSPECTOR_SECRET_STORE=file", "MCP_AUTO_OPEN_ENABLED=true")
	return cmd
}

// opened returns the URLs that the browser was told to open.
func (h *home) opened() []string {
	h.t.Helper()
	b, err := os.ReadFile(filepath.Join(h.dir, "opened"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		h.t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	return lines[:len(lines)-1] // without the empty text after the last newline
}

// approve waits for the browser to open, and approves there.
func (h *home) approve(a *app, g *gate) {
	h.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); len(h.opened()) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatal("no browser was opened within 30 s")
		}
	}
	back := consent(h.t, a, h.opened()[0])
	g.refused.Store(0) // the trial of the key also sends a request without a key
	resp, err := http.Get(back)
	if err != nil {
		h.t.Fatal(err)
	}
	resp.Body.Close()
}

// file is the only file in this home that matches the pattern.
func (h *home) file(pattern string) string {
	h.t.Helper()
	names, err := filepath.Glob(filepath.Join(h.dir, pattern))
	if err != nil {
		h.t.Fatal(err)
	}
	if len(names) != 1 {
		h.t.Fatalf("%d files match %s, want 1", len(names), pattern)
	}
	return names[0]
}

// storedToken is the refresh token in a file of tokens.
func storedToken(t *testing.T, name string) string {
	t.Helper()
	token, _ := readJSON(t, name)["refresh_token"].(string)
	return token
}

func readJSON(t *testing.T, name string) map[string]any {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func writeJSON(t *testing.T, name string, m map[string]any) {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
