package e2e

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestL01OtherUser sends requests as another user of this machine, who has
// stolen everything that a request could carry: the admin token, the owner's
// cookie and form tokens. The same bytes must succeed for our own user.
func TestL01OtherUser(t *testing.T) {
	t.Parallel()
	setpriv := testenv.Need(t, "setpriv")
	if os.Getuid() != 0 {
		testenv.Skip(t, "needs root to become another user")
	}
	for _, way := range []struct {
		name  string
		start func(testing.TB) *app
	}{{"without a tunnel", startApp}, {"behind a tunnel", startTunneled}} {
		t.Run(way.name, func(t *testing.T) {
			a := way.start(t)
			up := shimtest.NewUpstream(t, shimtest.Options{})
			e := a.addEndpoint("Linear", up.URL, up.Key())
			c := shimtest.NewOAuthClient(t, a.origin, "http://127.0.0.1:1/callback")
			c.Resource = e.Local
			b := shimtest.NewBrowser(t, a.origin)
			home := b.SignIn(a.ownerLink())
			consent := b.Open(c.AuthorizeURL())
			token := "Bearer " + a.run("", "token")

			cookies := func(path string) string {
				u, err := url.Parse(a.origin + path)
				if err != nil {
					t.Fatal(err)
				}
				var list []string
				for _, c := range b.HTTP.Jar.Cookies(u) {
					list = append(list, c.String())
				}
				return strings.Join(list, "; ")
			}
			get := func(path string) *http.Request { return newRequest(t, "GET", a.origin+path) }
			withToken := func(method, path string) *http.Request {
				r := newRequest(t, method, a.origin+path)
				r.Header.Set("Authorization", token)
				return r
			}
			withCookie := func(r *http.Request) *http.Request {
				r.Header.Set("Cookie", cookies(r.URL.Path))
				r.Header.Set("Sec-Fetch-Mode", "navigate")
				r.Header.Set("Sec-Fetch-Dest", "document")
				return r
			}
			approve := b.FormRequest(b.Form(consent, consent.URL.Path), map[string]string{"action": "approve", "credential": "new", "api_key": up.Key()})
			pause := b.FormRequest(b.Form(home, "/pause"), nil)
			opened := b.FormRequest(b.Form(b.Open(a.ownerLink()), "/open"), nil)

			// Requests that end something come last, because our own user sends them for
			// real.
			tests := []otherUserTest{
				{"L01 admin API with the token", withToken("GET", "/api/slugs"), http.StatusOK},
				{"L01 grants with the token", withToken("GET", "/api/grants"), http.StatusOK},
				{"L01 owner's link with the token", withToken("POST", "/api/open"), http.StatusOK},
				{"L01 home page with the owner's cookie", withCookie(get("/")), http.StatusOK},
				{"L01 consent page", withCookie(get(consent.URL.Path)), http.StatusOK},
				{"L01 page of a one-time link", get("/open?ticket=x"), http.StatusOK},
				{"L01 one-time link", opened, http.StatusSeeOther},
				{"L01 pause with the owner's form", withCookie(pause), http.StatusSeeOther},
				{"L01 resume with the token", withToken("POST", "/api/resume"), http.StatusOK},
				{"L01 consent with the owner's form", withCookie(approve), http.StatusSeeOther},
				{"L01 delete with the token", withToken("DELETE", "/api/slugs/"+e.Slug), http.StatusNoContent},
				{"L01 quit with the token", withToken("POST", "/api/quit"), http.StatusNoContent},
			}
			if a.world != nil {
				far := claudeClient(t, a, e)
				u, err := url.Parse(continueLink(t, a, far.AuthorizeURL()))
				if err != nil {
					t.Fatal(err)
				}
				// Requests that arrived by the tunnel are answered on this machine too.
				tests = append([]otherUserTest{
					{"L01 consent to what came by the tunnel", withCookie(get(u.Path)), http.StatusOK},
					{"L01 page of the tunnel", withCookie(get("/tunnel")), http.StatusOK},
					{"L01 test of the tunnel with the token", withToken("POST", "/api/tunnel/test"), http.StatusOK},
				}, tests...)
			}
			before := appState(a)
			raw := make([][]byte, len(tests))
			for i, tt := range tests {
				tt.req.Close = true
				var buf bytes.Buffer
				if err := tt.req.Write(&buf); err != nil {
					t.Fatal(err)
				}
				raw[i] = buf.Bytes()
				t.Run(tt.name, func(t *testing.T) {
					got := sendAs(t, a, raw[i], setpriv, "--reuid", "65534", "--regid", "65534", "--clear-groups")
					if got != http.StatusForbidden {
						t.Errorf("%s %s by another user = %d, want 403", tt.req.Method, tt.req.URL.Path, got)
					}
				})
			}
			if after := appState(a); after != before {
				t.Errorf("another user changed something:\nbefore %s\nafter  %s", before, after)
			}
			for i, tt := range tests {
				if got := sendAs(t, a, raw[i]); got/100 != tt.want/100 {
					t.Errorf("%s: %s %s by our own user = %d, want %d", tt.name, tt.req.Method, tt.req.URL.Path, got, tt.want)
				}
			}
		})
	}
}

// An otherUserTest is a request that another user of the machine makes.
type otherUserTest struct {
	name string
	req  *http.Request
	want int // for our own user
}

func newRequest(t *testing.T, method, u string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, u, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sendAs sends the bytes of a request from a process that prefix starts, and
// returns the status of the response. The process is a shell, because the other
// user may be unable to read our files.
func sendAs(t *testing.T, a *app, request []byte, prefix ...string) int {
	t.Helper()
	host, port, _ := strings.Cut(a.addr, ":")
	args := append(prefix, "bash", "-c", `exec 3<>"/dev/tcp/$0/$1"; cat >&3; cat <&3`, host, port)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = "/"
	cmd.Stdin = bytes.NewReader(request)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", args[0], err, &stderr)
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(out)), nil)
	if err != nil {
		t.Fatalf("answer %q: %v", out, err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
