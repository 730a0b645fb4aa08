package e2e

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// authtoken is the program's token for the stand-in edge. No visible text may
// contain it.
const authtoken = "2kE5canaryAuthtoken7f4a9c2e8b1d_6tRw0Zq3Lm9"

// A world is the internet of a test. Its clients can reach the program only
// through a tunnel.
type world struct {
	*tunneltest.Edge        // stands in for ngrok; nil if the owner runs a separate tunnel
	ca               string // a file
	origin           string // origin of the program
	// client makes a client that reaches origin, by HTTP/2 or HTTP/1.
	client func(http2 bool) *http.Client
}

func newWorld(t testing.TB, c tunneltest.Config) *world {
	t.Helper()
	w := &world{Edge: tunneltest.Start(t, c), origin: publicOrigin}
	w.client = w.Client
	var err error
	if w.ca, err = w.CAFile(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	return w
}

// startTunneled serves to a new world. The tunnel is open when it returns.
func startTunneled(t testing.TB) *app {
	t.Helper()
	a := startIn(t, newWorld(t, tunneltest.Config{Wrap: recording(t)}))
	a.waitOnline()
	return a
}

// startIn serves with a tunnel to w, and with additional environment variables.
func startIn(t testing.TB, w *world, env ...string) *app {
	t.Helper()
	a := startExe(t, built(t, buildForTests), append([]string{
		"KEY2OAUTH_TEST_EDGE=" + w.Addr(), "KEY2OAUTH_TEST_EDGE_CA=" + w.ca,
		"NGROK_AUTHTOKEN=" + authtoken, "KEY2OAUTH_TUNNEL=ngrok",
	}, env...)...)
	a.world = w
	return a
}

const publicOrigin = "https://" + tunneltest.DefaultDomain

const patience = testenv.Patience

// waitOnline waits until the world reaches the program.
func (a *app) waitOnline() {
	a.t.Helper()
	eventually(a.t, patience, "the tunnel is online", func() bool {
		return slices.Contains(a.world.Hosts(), tunneltest.DefaultDomain) && a.tunnel().State == "online"
	})
}

// eventually waits until is returns true. what describes that.
func eventually(t testing.TB, within time.Duration, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v it is still not true that %s", within, what)
		}
	}
}

// A tunnelInfo is the status of the tunnel.
type tunnelInfo struct {
	Provider, State, Words, Next, Link, Code, Test string
	Usage                                          struct {
		Requests, Bytes int64
		MaxRequests     int64 `json:"max_requests"`
		Warning         string
	}
	Stranded []string
}

// A statusInfo is the part of GET /api/status that tests look at.
type statusInfo struct {
	PublicOrigin   *string `json:"public_origin"`
	PublicListener *string `json:"public_listener"`
	Tunnel         tunnelInfo
	Paused         bool
}

func (a *app) status() statusInfo {
	a.t.Helper()
	var s statusInfo
	a.api("GET", "/api/status", nil, &s)
	return s
}

func (a *app) tunnel() tunnelInfo { a.t.Helper(); return a.status().Tunnel }

// url is the address of an endpoint for the clients of this test.
func (a *app) url(e endpointInfo) string {
	if a.world == nil {
		return e.Local
	}
	return e.MCP
}

// issuer is the origin that clients of this test know.
func (a *app) issuer() string {
	if a.world == nil {
		return a.origin
	}
	return a.world.origin
}

// http is an HTTP client in the network of this test's clients.
func (a *app) http() *http.Client {
	if a.world == nil {
		return http.DefaultClient
	}
	return a.world.client(true)
}

// npmEnv is the environment of npm programs in the network of this test's
// clients. Their requests to this machine, such as to their own listener, stay
// on this machine.
func (a *app) npmEnv() []string {
	a.t.Helper()
	if a.world == nil {
		return nil
	}
	proxy, err := a.world.Proxy()
	if err != nil {
		a.t.Fatal(err)
	}
	const here = "127.0.0.1,localhost"
	return []string{
		"NODE_USE_ENV_PROXY=1", "HTTPS_PROXY=" + proxy, "https_proxy=" + proxy,
		"NO_PROXY=" + here, "no_proxy=" + here, "NODE_EXTRA_CA_CERTS=" + a.world.ca,
	}
}

// farBrowser is a browser without cookies that shows pages of the public side.
func (a *app) farBrowser() *shimtest.Browser {
	b := shimtest.NewBrowser(a.t, a.world.origin)
	b.HTTP.Transport = a.world.client(true).Transport
	return b
}

// connect runs the complete sign-in of a client on either side.
func (a *app) connect(c *shimtest.OAuthClient, key string) {
	a.t.Helper()
	authorize := c.AuthorizeURL()
	if a.world != nil {
		authorize = continueLink(a.t, a, authorize)
	}
	b := shimtest.NewBrowser(a.t, a.origin)
	p := b.Consent(authorize, map[string]string{"api_key": key, "action": "approve"})
	if p.Location == "" {
		a.t.Fatalf("consent ended at %s with %d and the words %q", p.URL.Path, p.Status, problemText(p.Body))
	}
	if status, body := c.Redeem(c.CodeFrom(p.Location)); status != http.StatusOK {
		a.t.Fatalf("POST /token = %d %v", status, body)
	}
}

var continuePattern = regexp.MustCompile(`href="(http://[^"/]+/consent/[^"]+)"`)

// continueLink opens an authorization URL of the public side, and returns the
// link from its page to this machine. That page must have no text fields.
func continueLink(t testing.TB, a *app, authorize string) string {
	t.Helper()
	u, err := url.Parse(authorize)
	if err != nil || u.Scheme+"://"+u.Host != a.issuer() {
		t.Fatalf("the client sends its user to %s, want a page of %s", authorize, a.issuer())
	}
	p := a.farBrowser().Open(authorize)
	m := continuePattern.FindStringSubmatch(p.Body)
	if p.Status != http.StatusOK || m == nil || !strings.HasPrefix(m[1], a.origin+"/") {
		t.Fatalf("the page %s (%d) does not lead to this machine:\n%s", p.URL.Path, p.Status, p.Body)
	}
	for _, f := range p.Forms {
		for _, field := range f.Fields {
			if field.Type != "hidden" {
				t.Errorf("the public page has a field %q to type into", field.Name)
			}
		}
	}
	return m[1]
}

// queryOf is the query of a redirect to a client.
func queryOf(t testing.TB, location string) url.Values {
	t.Helper()
	u, err := url.Parse(location)
	if err != nil || u.RawQuery == "" {
		t.Fatalf("the client is answered with %q", location)
	}
	return u.Query()
}

// ping is the smallest request to an endpoint that needs a token and a key.
const ping = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`

func mcpHeader(r *http.Request, token string) {
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Mcp-Protocol-Version", "2025-06-18")
}

// post sends a message to an endpoint.
func post(t testing.TB, c *http.Client, endpoint, token, message string) reply {
	t.Helper()
	req, err := http.NewRequest("POST", endpoint, strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	mcpHeader(req, token)
	return send(t, c, req)
}

// get asks for a URL.
func get(t testing.TB, c *http.Client, url string) reply {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return send(t, c, req)
}

func send(t testing.TB, c *http.Client, req *http.Request) reply {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}
}
