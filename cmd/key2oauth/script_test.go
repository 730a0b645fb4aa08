package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"key2oauth": main})
}

// The scripts run the program as a user does. Each script has its own data
// folder and uses free ports, except the scripts about ports.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("KEY2OAUTH_DATA_DIR", filepath.Join(env.WorkDir, "data"))
			env.Setenv("KEY2OAUTH_KEYCHAIN", "file")
			env.Setenv("KEY2OAUTH_ADDR", ":0")
			// Tests must not touch the keychain of the person who runs them.
			env.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(env.WorkDir, "no-bus"))
			env.Values[appsKey{}] = make(apps)
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "ipv6" {
				return false, fmt.Errorf("unknown condition %s", name)
			}
			ln, err := net.Listen("tcp", "[::1]:0")
			if err != nil {
				return false, nil
			}
			return true, ln.Close()
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"upstream": func(ts *testscript.TestScript, _ bool, args []string) { startUpstream(t, ts, args) },
			"connect":  func(ts *testscript.TestScript, _ bool, args []string) { connectClient(t, ts, args) },
			"start":    startApp,
			"end":      endApp,
			"ended":    endedApp,
			"exits":    exits,
			"let":      let,
			"shape":    shape,
			"canary":   canary,
			"occupy":   occupy,
			"waitfor":  waitFor,
			"damage":   damage,
		},
	})
}

// upstream [HEADER [PREFIX]] starts an MCP server that accepts one API key. Its
// URL is $UPSTREAM. The key is $KEY, and also in the file secret/key.
func startUpstream(t *testing.T, ts *testscript.TestScript, args []string) {
	o := shimtest.Options{Key: fmt.Sprintf("sk-script-%d", time.Now().UnixNano())}
	if len(args) > 0 {
		o.Header = args[0]
	}
	if len(args) > 1 {
		o.Prefix = args[1]
	}
	ts.Setenv("UPSTREAM", shimtest.NewUpstream(t, o).URL)
	ts.Setenv("KEY", o.Key)
	ts.Check(os.MkdirAll(ts.MkAbs("secret"), 0o700))
	ts.Check(os.WriteFile(ts.MkAbs("secret/key"), []byte(o.Key+"\n"), 0o600))
}

// damage DIR BUCKET PREFIX flips a bit in each record of a state file whose key
// begins with a prefix.
func damage(ts *testscript.TestScript, _ bool, args []string) {
	db, err := bbolt.Open(ts.MkAbs(filepath.Join(args[0], "state.db")), 0o600, nil)
	ts.Check(err)
	defer db.Close()
	n := 0
	ts.Check(db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(args[1]))
		flipped := make(map[string][]byte)
		c := b.Cursor()
		for k, value := c.Seek([]byte(args[2])); bytes.HasPrefix(k, []byte(args[2])); k, value = c.Next() {
			value = bytes.Clone(value)
			value[len(value)/2] ^= 1
			flipped[string(k)] = value
		}
		for k, value := range flipped {
			n++
			if err := b.Put([]byte(k), value); err != nil {
				return err
			}
		}
		return nil
	}))
	if n == 0 {
		ts.Fatalf("no record of %s begins with %s", args[1], args[2])
	}
}

// connect SLUG [LINK] connects a client to an endpoint and pastes $KEY at
// consent: as a stranger, or as the owner if it gets an owner's link.
func connectClient(t *testing.T, ts *testscript.TestScript, args []string) {
	origin := ts.Getenv("LOCAL")
	c := shimtest.NewOAuthClient(t, origin, "http://127.0.0.1:3118/callback")
	c.Resource = origin + "/" + args[0] + "/mcp"
	b := shimtest.NewBrowser(t, origin)
	answer := map[string]string{"api_key": ts.Getenv("KEY"), "action": "approve"}
	if len(args) > 1 {
		b.SignIn(args[1])
		answer["credential"] = "new"
	}
	p := b.Consent(c.AuthorizeURL(), answer)
	if p.Location == "" {
		ts.Fatalf("consent ended at %s with %d:\n%s", p.URL, p.Status, p.Body)
	}
	if status, body := c.Redeem(c.CodeFrom(p.Location)); status != http.StatusOK {
		ts.Fatalf("POST /token: got %d %v", status, body)
	}
}

type (
	appsKey struct{}
	apps    map[string]*app
	app     struct {
		cmd  *exec.Cmd
		done chan struct{} // closed when it has ended
	}
)

// start NAME ARGS... runs key2oauth in the background until it is ready. What
// it prints goes to NAME.stdout and NAME.stderr, and its local origin becomes
// $LOCAL.
func startApp(ts *testscript.TestScript, _ bool, args []string) {
	name := args[0]
	stdout, err := os.Create(ts.MkAbs(name + ".stdout"))
	ts.Check(err)
	defer stdout.Close()
	stderr, err := os.Create(ts.MkAbs(name + ".stderr"))
	ts.Check(err)
	defer stderr.Close()

	cmd := exec.Command(findProgram(ts), args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Stdout, cmd.Stderr = stdout, stderr
	for _, env := range []string{"PATH", "HOME", "TMPDIR", "WORK", "DISPLAY", "DBUS_SESSION_BUS_ADDRESS",
		"KEY2OAUTH_ADDR", "KEY2OAUTH_DATA_DIR", "KEY2OAUTH_KEYCHAIN", "KEY2OAUTH_TUNNEL", "KEY2OAUTH_LOG_LEVEL"} {
		cmd.Env = append(cmd.Env, env+"="+ts.Getenv(env))
	}
	ts.Check(cmd.Start())
	a := &app{cmd, make(chan struct{})}
	go func() { cmd.Wait(); close(a.done) }()
	ts.Value(appsKey{}).(apps)[name] = a
	ts.Defer(func() { cmd.Process.Kill(); <-a.done })

	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		out := ts.ReadFile(name + ".stdout")
		if _, after, ok := strings.Cut(out, "ready local="); ok && strings.Contains(after, "\n") {
			ts.Setenv("LOCAL", strings.Fields(after)[0])
			return
		}
		select {
		case <-a.done:
			ts.Fatalf("%s ended: %v\n%s", name, cmd.ProcessState, ts.ReadFile(name+".stderr"))
		default:
		}
	}
	ts.Fatalf("%s is not ready\n%s", name, ts.ReadFile(name+".stderr"))
}

func findProgram(ts *testscript.TestScript) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if p, err := exec.LookPath(filepath.Join(dir, "key2oauth")); err == nil {
			return p
		}
	}
	ts.Fatalf("key2oauth is not on PATH")
	return ""
}

// end NAME ends an app as Ctrl-C does; it must exit soon and without an error.
// ! end NAME kills it.
func endApp(ts *testscript.TestScript, kill bool, args []string) {
	a := ts.Value(appsKey{}).(apps)[args[0]]
	if a == nil {
		ts.Fatalf("no app %s", args[0])
	}
	if kill {
		ts.Check(a.cmd.Process.Kill())
		<-a.done
		return
	}
	ts.Check(a.cmd.Process.Signal(os.Interrupt))
	select {
	case <-a.done:
	case <-time.After(time.Minute):
		ts.Fatalf("%s does not end", args[0])
	}
	if code := a.cmd.ProcessState.ExitCode(); code != 0 {
		ts.Fatalf("%s ended with exit code %d\n%s", args[0], code, ts.ReadFile(args[0]+".stderr"))
	}
}

// ended NAME waits for a program that ends without a signal, with exit code 0.
func endedApp(ts *testscript.TestScript, _ bool, args []string) {
	a := ts.Value(appsKey{}).(apps)[args[0]]
	select {
	case <-a.done:
	case <-time.After(time.Minute):
		ts.Fatalf("%s does not end", args[0])
	}
	if code := a.cmd.ProcessState.ExitCode(); code != 0 {
		ts.Fatalf("%s ended with exit code %d\n%s", args[0], code, ts.ReadFile(args[0]+".stderr"))
	}
}

// exits CODE PROGRAM ARGS... runs a program that must end with this code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s: got exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// let NAME FILE FIELD... sets $NAME to the value at FIELD... in a JSON file, or
// to the whole text if there is no FIELD.
func let(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[1])
	if len(args) == 2 {
		ts.Setenv(args[0], strings.TrimSpace(text))
		return
	}
	var v any
	ts.Check(json.Unmarshal([]byte(text), &v))
	for _, field := range args[2:] {
		switch at := v.(type) {
		case map[string]any:
			v = at[field]
		case []any:
			i, err := strconv.Atoi(field)
			ts.Check(err)
			if i >= len(at) {
				ts.Fatalf("%s has no element %d", args[1], i)
			}
			v = at[i]
		}
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

// shape FILE prints the fields of a JSON file and their types to stdout.
func shape(ts *testscript.TestScript, _ bool, args []string) {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	found := make(map[string]bool)
	shapeOf(found, "", v)
	for _, line := range slices.Sorted(maps.Keys(found)) {
		fmt.Fprintln(ts.Stdout(), line)
	}
}

func shapeOf(found map[string]bool, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, field := range v {
			shapeOf(found, path+"."+name, field)
		}
	case []any:
		found[path+" array"] = true
		for _, element := range v {
			shapeOf(found, path+"[]", element)
		}
	case string:
		kind := "string"
		if t, err := time.Parse(time.RFC3339, v); err == nil {
			kind = "time"
			if t.Location() != time.UTC {
				kind = "time not in UTC"
			}
		}
		found[path+" "+kind] = true
	case nil:
		found[path+" null"] = true
	default:
		found[fmt.Sprintf("%s %T", path, v)] = true
	}
}

// canary looks for the secrets in everything the script has seen so far: the
// last output and all files, except those in secret/ and where the program
// keeps the secret itself. It first proves that it finds a planted one.
func canary(ts *testscript.TestScript, _ bool, _ []string) {
	secrets := map[string]string{"API key": ts.Getenv("KEY")}
	if token, err := os.ReadFile(filepath.Join(ts.Getenv("KEY2OAUTH_DATA_DIR"), api.TokenFile)); err == nil {
		secrets["admin token"] = strings.TrimSpace(string(token))
	}
	for name, secret := range secrets {
		if secret == "" {
			ts.Fatalf("there is no %s to look for", name)
		}
		planted := ts.MkAbs("planted")
		ts.Check(os.WriteFile(planted, []byte("x"+secret+"x"), 0o600))
		if leak(ts, secret) != planted {
			ts.Fatalf("the canary does not find a planted %s", name)
		}
		ts.Check(os.Remove(planted))
		if where := leak(ts, secret); where != "" {
			ts.Fatalf("the %s is in %s", name, where)
		}
	}
}

func leak(ts *testscript.TestScript, secret string) (where string) {
	for _, out := range []string{"stdout", "stderr"} {
		if strings.Contains(ts.ReadFile(out), secret) {
			return out
		}
	}
	err := filepath.WalkDir(ts.Getenv("WORK"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || where != "" {
			return err
		}
		if d.IsDir() && d.Name() == "secret" {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || d.Name() == "admin-token" {
			return nil
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(secret)) {
			where = path
		}
		return err
	})
	ts.Check(err)
	return where
}

// occupy ADDR listens at ADDR, as another program would. That program is this
// one, and its process ID becomes $PID. ! occupy ADDR stops listening.
func occupy(ts *testscript.TestScript, end bool, args []string) {
	held := ts.Value(appsKey{}).(apps)
	if end {
		held[args[0]].done <- struct{}{}
		<-held[args[0]].done
		return
	}
	ts.Setenv("PID", strconv.Itoa(os.Getpid()))
	ln, err := net.Listen("tcp", args[0])
	if errors.Is(err, syscall.EADDRINUSE) {
		return // another program has it already, which is just as good
	}
	ts.Check(err)
	a := &app{done: make(chan struct{})}
	held[args[0]] = a
	go func() {
		<-a.done
		ln.Close()
		close(a.done)
	}()
	ts.Defer(func() { ln.Close() })
}

// waitfor FILE TEXT waits until the file contains the text.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if b, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && strings.Contains(string(b), args[1]) {
			return
		}
	}
	ts.Fatalf("%q did not come in %s:\n%s", args[1], args[0], ts.ReadFile(args[0]))
}
