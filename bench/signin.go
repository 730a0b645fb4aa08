package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// startOurs starts our program as it is shipped: keys encrypted, activity on.
func (b *bench) startOurs(dir string) (*process, error) { return b.startBuilt(b.built, dir) }

func (b *bench) startBuilt(exe, dir string) (*process, error) {
	return b.start(nil, exe, "serve", "--addr", "127.0.0.1:0", "--keychain", "file", "--data-dir", dir)
}

// dataDir returns the data folder that startOurs was given.
func (p *process) dataDir() string { return p.cmd.Args[len(p.cmd.Args)-1] }

// api calls the admin API.
func (p *process) api(method, path string, body, out any) error {
	token, err := os.ReadFile(filepath.Join(p.dataDir(), "admin-token"))
	if err != nil {
		return err
	}
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(method, p.origin+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s answers %s", method, path, resp.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// addEndpoint adds an endpoint and returns its slug and its local URL.
func (p *process) addEndpoint(name, upstream string) (slug, mcp string, err error) {
	var e struct {
		Slug  string
		Local string `json:"local_mcp_endpoint"`
	}
	err = p.api(http.MethodPost, "/api/slugs", map[string]string{"upstream_url": upstream, "display_name": name}, &e)
	return e.Slug, e.Local, err
}

// signIn adds an endpoint and logs a client in, like a person with a browser.
func (b *bench) signIn(p *process, name string) (*subject, error) {
	_, mcp, err := p.addEndpoint(name, b.upstream.origin+"/mcp")
	if err != nil {
		return nil, err
	}
	c, err := connect(p.origin, mcp)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(mcp)
	if err != nil {
		return nil, err
	}
	return &subject{name: "key2oauth", addr: u.Host, path: u.Path, token: c.Access, proc: p}, nil
}

// connect registers a client and completes its login, with the key pasted at
// consent.
func connect(origin, resource string) (c *shimtest.OAuthClient, err error) {
	t := new(asTest)
	defer t.catch(&err)
	c = shimtest.NewOAuthClient(t, origin, "http://127.0.0.1:9/callback")
	c.Resource = resource
	c.Connect(shimtest.NewBrowser(t, origin), apiKey)
	return c, nil
}

// An asTest lets the test kit work outside of a test: what would fail a test
// becomes an error.
type asTest struct {
	testing.TB
	after []func()
}

type testFailure struct{ words string }

// Cleanup registers a function for end.
func (t *asTest) Cleanup(f func()) { t.after = append(t.after, f) }

func (t *asTest) end() {
	for _, f := range slices.Backward(t.after) {
		f()
	}
	t.after = nil
}

func (*asTest) Helper()                   {}
func (*asTest) Fatal(args ...any)         { panic(testFailure{fmt.Sprint(args...)}) }
func (*asTest) Skip(args ...any)          { panic(testFailure{fmt.Sprint(args...)}) }
func (*asTest) Fatalf(f string, a ...any) { panic(testFailure{fmt.Sprintf(f, a...)}) }

// catch turns a failure into *err. Defer it.
func (*asTest) catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case testFailure:
		*err = errors.New(r.words)
	default:
		panic(r)
	}
}
