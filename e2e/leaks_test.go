package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// A finder looks for secrets in text that others than their owners could see.
// It knows the encodings that programs use.
type finder struct {
	t     testing.TB
	forms map[string][]string // name of a secret -> its forms
}

// add makes f look for a secret.
func (f *finder) add(what, secret string) {
	f.t.Helper()
	if len(secret) < 8 {
		f.t.Fatalf("the %s has %d characters, too few to look for", what, len(secret))
	}
	if f.forms == nil {
		f.forms = make(map[string][]string)
	}
	f.forms[what] = append(f.forms[what], formsOf(secret)...)
}

// formsOf returns a secret as it is and in every encoding. In base64, a secret
// looks different at each of three offsets in a longer text, and its first and
// last characters depend on the neighbors. Those characters are left out.
func formsOf(secret string) []string {
	quoted, err := json.Marshal(secret)
	if err != nil {
		panic(err) // a string can always be marshaled
	}
	forms := []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), html.EscapeString(secret), strings.Trim(string(quoted), `"`),
		strings.Trim(fmt.Sprintf("%q", secret), `"`), hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
	}
	for at := range 3 {
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			s := enc.EncodeToString([]byte(strings.Repeat("\x00", at) + secret))
			skip := []int{0, 2, 3}[at]
			forms = append(forms, s[skip:len(s)-(at+len(secret))%3])
		}
	}
	return forms
}

// find names the secrets that text holds in any form.
func (f *finder) find(text string) (found []string) {
	for what, forms := range f.forms {
		if slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(text, form) }) {
			found = append(found, what)
		}
	}
	slices.Sort(found)
	return found
}

// places maps the name of each searched place to its content.
type places map[string]string

// addFiles adds every file in dir, by name. when distinguishes several visits.
func (p places) addFiles(t testing.TB, dir, when string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			p["file "+d.Name()+when] = name + "\n" + readFile(t, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// addProcess adds what other processes can see of a process.
func (p places) addProcess(t testing.TB, pid int) {
	t.Helper()
	for _, name := range []string{"cmdline", "environ", "comm"} {
		p["/proc/"+name] = readFile(t, fmt.Sprintf("/proc/%d/%s", pid, name))
	}
}

// A recorder is a transport that keeps every response, status line and headers
// included. It uses no connection twice.
type recorder struct {
	places places
	n      int
	last   string // name of the place that has the last response
	seen   []*http.Request
}

// RoundTrip implements http.RoundTripper.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := fresh.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	r.keep(req, resp, string(body))
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

func (r *recorder) keep(req *http.Request, resp *http.Response, body string) {
	r.n++
	r.last = fmt.Sprintf("answer %d, %s %s = %d", r.n, req.Method, req.URL.Path, resp.StatusCode)
	var b strings.Builder
	fmt.Fprintln(&b, resp.Status)
	resp.Header.Write(&b)
	r.places[r.last] = b.String() + "\r\n" + body
	r.seen = append(r.seen, req)
}

// plant puts a secret into a place of each kind, and checks that the search
// finds it there. It collects these places in the same way as the real ones.
func (f *finder) plant(what string) {
	f.t.Helper()
	for _, form := range f.forms[what] {
		if !slices.Contains(f.find("x"+form+"y"), what) {
			f.t.Errorf("the search misses the %s as %q", what, form)
		}
	}
	form := f.forms[what][0]
	p := make(places)
	dir := f.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "state.db"), []byte("\x00\x01"+form+"\xff"), 0o600); err != nil {
		f.t.Fatal(err)
	}
	p.addFiles(f.t, dir, "")

	// Both output streams, the arguments and the environment of a process.
	out, errs := new(testenv.Output), new(testenv.Output)
	const script = `printf '%s\n' "$PLANTED"; printf '%s\n' "$PLANTED" >&2; echo said; read wait`
	cmd := exec.Command("sh", "-c", script, form)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PLANTED=" + form}
	cmd.Stdout, cmd.Stderr = out, errs
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); !strings.Contains(out.String(), "said"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatal("the process with the planted secret prints nothing")
		}
	}
	p.addProcess(f.t, cmd.Process.Pid)
	in.Close()
	cmd.Wait()
	p["stdout"], p["stderr"] = out.String(), errs.String()

	rec := &recorder{places: p}
	for _, at := range []string{"body", "header"} {
		req := &http.Request{Method: "GET", URL: &url.URL{Path: "/" + at}}
		resp := &http.Response{Status: "200 OK", StatusCode: 200, Header: http.Header{"Date": {"now"}}}
		if at == "header" {
			resp.Header.Set("X-Planted", form)
			rec.keep(req, resp, "")
		} else {
			rec.keep(req, resp, "<p>"+form+"</p>")
		}
	}
	want := []string{"file state.db", "/proc/cmdline", "/proc/environ", "stdout", "stderr", "answer 1, GET /body = 200", "answer 2, GET /header = 200"}
	for _, place := range want {
		if !slices.Contains(f.find(p[place]), what) {
			f.t.Errorf("the search misses a planted %s in %s", what, place)
		}
	}
}
