package tunneltest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.ngrok.com/ngrok/v2"
	"golang.ngrok.com/ngrok/v2/rpc"
)

const goodToken = "2good_authtoken_of_a_test"

// An agentKit is an agent of the SDK's that serves a handler through an edge.
type agentKit struct {
	agent ngrok.Agent
	ln    ngrok.EndpointListener
}

// connect connects an agent and puts a host online.
func connect(t *testing.T, e *Edge, token, u string, more ...ngrok.AgentOption) (*agentKit, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var code atomic.Value
	options := append([]ngrok.AgentOption{
		ngrok.WithAuthtoken(token),
		ngrok.WithAgentConnectURL(e.Addr()),
		ngrok.WithAgentConnectCAs(e.CA()),
		ngrok.WithLogger(slog.New(slog.DiscardHandler)),
		// The SDK would retry a bad authtoken forever.
		ngrok.WithEventHandler(func(ev ngrok.Event) {
			if d, ok := ev.(*ngrok.EventAgentDisconnected); ok && d.Error != nil {
				if c := errorCode.FindString(d.Error.Error()); c != "" {
					code.Store(c)
					cancel()
				}
			}
		}),
	}, more...)
	agent, err := ngrok.NewAgent(options...)
	if err != nil {
		t.Fatal(err)
	}
	var endpoint []ngrok.EndpointOption
	if u != "" {
		endpoint = append(endpoint, ngrok.WithURL(u))
	}
	ln, err := agent.Listen(ctx, endpoint...)
	t.Cleanup(func() { cancel(); agent.Disconnect() })
	if c, ok := code.Load().(string); ok && err != nil {
		err = errors.New(c)
	}
	return &agentKit{agent, ln}, err
}

var errorCode = regexp.MustCompile(`ERR_NGROK_\d+`)

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[ngrok.Error](err); ok && e.Code() != "" {
		return e.Code()
	}
	return errorCode.FindString(err.Error())
}

// online connects and serves h until the end of the test.
func online(t *testing.T, e *Edge, h http.Handler, more ...ngrok.AgentOption) *agentKit {
	t.Helper()
	a, err := connect(t, e, goodToken, "", more...)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	go srv.Serve(a.ln)
	return a
}

// do sends a request to DefaultDomain and returns the answer with its body.
func do(t *testing.T, c *http.Client, method, path string, header map[string]string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://"+DefaultDomain+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// eventually waits until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func TestHeaders(t *testing.T) {
	e := Start(t, Config{})
	seen := make(chan *http.Request, 2)
	online(t, e, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		w.Header().Set("Ngrok-Error-Code", "ERR_NGROK_1")
		io.WriteString(w, "hello")
	}))
	for _, http2 := range []bool{false, true} {
		res, body := do(t, e.Client(http2), "GET", "/a?b=c", map[string]string{
			"X-Forwarded-For": "9.9.9.9", "X-Forwarded-Host": "evil.example",
		})
		if want := 1; http2 {
			want = 2
			if res.ProtoMajor != want {
				t.Errorf("got HTTP/%d, want HTTP/%d", res.ProtoMajor, want)
			}
		}
		r := <-seen
		for _, c := range []struct{ what, got, want string }{
			{"body", body, "hello"},
			{"agent's addresses", res.Header.Get("Ngrok-Agent-Ips"), "127.0.0.1"},
			{"forged error code", res.Header.Get("Ngrok-Error-Code"), ""},
			{"URL", r.URL.String(), "/a?b=c"},
			{"Host", r.Host, DefaultDomain},
			{"X-Forwarded-For", r.Header.Get("X-Forwarded-For"), "9.9.9.9, 127.0.0.1"},
			{"X-Forwarded-Proto", r.Header.Get("X-Forwarded-Proto"), "https"},
			{"X-Forwarded-Host", r.Header.Get("X-Forwarded-Host"), "evil.example"},
		} {
			if c.got != c.want {
				t.Errorf("%s: got %q, want %q", c.what, c.got, c.want)
			}
		}
		if ip, _, _ := net.SplitHostPort(r.RemoteAddr); ip != "127.0.0.1" {
			t.Errorf("the agent got the client address %q", r.RemoteAddr)
		}
	}
	if res, _ := do(t, e.Client(false), "GET", "/.well-known/acme-challenge/x", nil); res.StatusCode != 404 || len(seen) != 0 {
		t.Errorf("an ACME challenge reached the agent")
	}
	if got := e.Requests(); got != 2 {
		t.Errorf("got %d requests, want 2", got)
	}
}

// TestClientAddr: one machine can be many senders.
func TestClientAddr(t *testing.T) {
	e := Start(t, Config{ClientAddr: func(r *http.Request) string {
		defer r.Header.Del("From-Address")
		return r.Header.Get("From-Address")
	}})
	online(t, e, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("X-Forwarded-For")+" "+r.Header.Get("From-Address"))
	}))
	for from, want := range map[string]string{"": "127.0.0.1 ", "203.0.113.9": "203.0.113.9 "} {
		if _, got := do(t, e.Client(false), "GET", "/", map[string]string{"From-Address": from}); got != want {
			t.Errorf("from %q: got %q, want %q", from, got, want)
		}
	}
}

func TestErrorsOfTheEdge(t *testing.T) {
	e := Start(t, Config{})
	c := e.Client(false)
	check := func(what string, status int, code string) {
		t.Helper()
		res, body := do(t, c, "GET", "/", nil)
		if res.StatusCode != status || res.Header.Get("Ngrok-Error-Code") != code || !strings.Contains(body, code) {
			t.Errorf("%s: got %d %q %q, want %d %q", what, res.StatusCode, res.Header.Get("Ngrok-Error-Code"), body, status, code)
		}
	}
	check("offline", 404, "ERR_NGROK_3200")
	a := online(t, e, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			panic(http.ErrAbortHandler)
		}
	}))
	check("an agent that gives no answer", 502, "ERR_NGROK_3004")
	before := e.Requests()
	e.UseUp("727")
	check("quota used up", 429, "ERR_NGROK_727")
	e.UseUp("725")
	check("bytes used up", 429, "ERR_NGROK_725")
	if e.Requests() != before {
		t.Error("the agent was asked although the quota is used up")
	}
	e.UseUp("")
	a.ln.Close()
	check("closed", 404, "ERR_NGROK_3200")
	if got := e.Unbinds(); got != 1 {
		t.Errorf("got %d unbinds, want 1", got)
	}
}

func TestRefusals(t *testing.T) {
	accounts := map[string]Account{
		goodToken:           {Domains: []string{"second.example"}},
		"2other_authtoken":  {Domain: "other.ngrok-free.app"},
		"2revoked_of_a_few": {Revoked: true},
	}
	tests := []struct {
		name, token, url string
		config           Config
		code             string
	}{
		{"good", goodToken, "", Config{}, ""},
		{"its own domain", goodToken, "https://" + DefaultDomain, Config{}, ""},
		{"its second domain", goodToken, "https://second.example", Config{}, ""},
		{"none", "", "", Config{}, "ERR_NGROK_4018"},
		{"malformed", "not a token", "", Config{}, "ERR_NGROK_105"},
		{"unknown", "2never_given_to_anybody", "", Config{}, "ERR_NGROK_107"},
		{"revoked", "2revoked_of_a_few", "", Config{}, "ERR_NGROK_300"},
		{"not reserved", goodToken, "https://nobody.example", Config{}, "ERR_NGROK_319"},
		{"another's", goodToken, "https://other.ngrok-free.app", Config{}, "ERR_NGROK_320"},
		{"with a path", goodToken, "https://" + DefaultDomain + "/x", Config{}, "ERR_NGROK_9038"},
		{"with a port", goodToken, "https://" + DefaultDomain + ":8443", Config{}, "ERR_NGROK_9037"},
		{"by the hook for sessions", goodToken, "", Config{OnAuth: func(Auth) *Refusal { return refuse("103", "suspended") }}, "ERR_NGROK_103"},
		{"by the hook for hosts", goodToken, "", Config{OnBind: func(Bind) *Refusal { return refuse("15013", "no domain") }}, "ERR_NGROK_15013"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.config.Accounts = accounts
			e := Start(t, test.config)
			_, err := connect(t, e, test.token, test.url)
			if got := codeOf(err); got != test.code {
				t.Errorf("got %q (%v), want %q", got, err, test.code)
			}
		})
	}
}

func TestHeldAndTooMany(t *testing.T) {
	e := Start(t, Config{MaxSessions: 2})
	e.Hold(DefaultDomain)
	if _, err := connect(t, e, goodToken, ""); codeOf(err) != "ERR_NGROK_334" {
		t.Errorf("a host that is held: got %v", err)
	}
	e.Release(DefaultDomain)
	if _, err := connect(t, e, goodToken, ""); err != nil {
		t.Errorf("after release: %v", err)
	}
	if _, err := connect(t, e, goodToken, ""); codeOf(err) != "ERR_NGROK_108" {
		t.Errorf("a third session: got %v", err)
	}
}

func TestReconnects(t *testing.T) {
	e := Start(t, Config{})
	online(t, e, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "here") }))
	works := func() bool {
		res, body := do(t, e.Client(false), "GET", "/", nil)
		return res.StatusCode == 200 && body == "here"
	}
	for n := range 3 {
		e.KillSessions()
		eventually(t, "the agent resumes its session", func() bool { return len(e.Binds()) == n+2 })
		eventually(t, "answers", works)
	}
	e.Close()
	if err := e.Reopen(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "answers after the edge was away", works)
	auths, binds := e.Auths(), e.Binds()
	if auths[0].ClientID != "" || auths[1].ClientID == "" || auths[1].ClientID != auths[2].ClientID {
		t.Errorf("sessions: %+v", auths)
	}
	if binds[0].Again || !binds[1].Again || binds[1].Asked != DefaultDomain {
		t.Errorf("hosts: %+v", binds)
	}
}

func TestCommands(t *testing.T) {
	e := Start(t, Config{})
	var asked []string
	a := online(t, e, http.NotFoundHandler(), ngrok.WithRPCHandler(func(_ context.Context, _ ngrok.AgentSession, r rpc.Request) ([]byte, error) {
		asked = append(asked, r.Method())
		if r.Method() == rpc.UpdateAgentMethod {
			return nil, errors.New("no update for you")
		}
		return nil, nil
	}))
	if err := e.Send(DefaultDomain, Update); err == nil || !strings.Contains(err.Error(), "no update for you") {
		t.Errorf("update: got %v", err)
	}
	if err := e.Send(DefaultDomain, Stop); err != nil {
		t.Errorf("stop: %v", err)
	}
	eventually(t, "the session ends", func() bool { return e.Sessions() == 0 })
	if want := []string{rpc.UpdateAgentMethod, rpc.StopAgentMethod}; !slices.Equal(asked, want) {
		t.Errorf("got %q, want %q", asked, want)
	}
	if err := e.Send(DefaultDomain, Restart); err == nil {
		t.Error("a command reached an agent that is gone")
	}
	a.agent.Disconnect()
}

func TestStopTunnel(t *testing.T) {
	e := Start(t, Config{})
	a, err := connect(t, e, goodToken, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.StopTunnel(DefaultDomain, "ERR_NGROK_3208", "The account was banned."); err != nil {
		t.Fatal(err)
	}
	if _, err := a.ln.Accept(); codeOf(err) != "ERR_NGROK_3208" {
		t.Errorf("got %v", err)
	}
	if err := e.StopTunnel(DefaultDomain, "", ""); err == nil {
		t.Error("stopped twice")
	}
}

func TestDiagnose(t *testing.T) {
	e := Start(t, Config{})
	a, err := connect(t, e, goodToken, "")
	if err != nil {
		t.Fatal(err)
	}
	res, err := a.agent.(ngrok.Diagnoser).Diagnose(t.Context(), e.Addr())
	if err != nil || res.Region != region {
		t.Errorf("got %+v, %v", res, err)
	}
}

func TestHeartbeats(t *testing.T) {
	e := Start(t, Config{})
	beats := make(chan bool, 1)
	online(t, e, http.NotFoundHandler(), ngrok.WithHeartbeatInterval(20*time.Millisecond), ngrok.WithHeartbeatTolerance(10*time.Second),
		ngrok.WithEventHandler(func(ev ngrok.Event) {
			if _, ok := ev.(*ngrok.EventAgentHeartbeatReceived); ok {
				select {
				case beats <- true:
				default:
				}
			}
		}))
	<-beats
	<-beats
	if got, want := e.Auths()[0].Heartbeat, 20*time.Millisecond; got != want {
		t.Errorf("got an interval of %v, want %v", got, want)
	}
}

func TestFreezeAndThaw(t *testing.T) {
	e := Start(t, Config{})
	online(t, e, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "here") }))
	do(t, e.Client(false), "GET", "/", nil)
	e.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", "https://"+DefaultDomain+"/", nil)
	if res, err := e.Client(false).Do(req); err == nil {
		t.Errorf("got %d through a frozen line", res.StatusCode)
	}
	e.Thaw()
	if res, body := do(t, e.Client(false), "GET", "/", nil); res.StatusCode != 200 || body != "here" {
		t.Errorf("after the thaw: got %d %q", res.StatusCode, body)
	}
}

func TestStarve(t *testing.T) {
	e := Start(t, Config{})
	online(t, e, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 64<<10)) }))
	took := func() time.Duration {
		start := time.Now()
		if _, body := do(t, e.Client(false), "GET", "/", nil); len(body) != 64<<10 {
			t.Errorf("got %d bytes", len(body))
		}
		return time.Since(start)
	}
	took()
	fast := took()
	e.Starve(256<<10, 0)
	if slow := took(); slow < 150*time.Millisecond || slow < 2*fast {
		t.Errorf("64 kB took %v at 256 kB a second, %v before", slow, fast)
	}
	e.Starve(0, 0)
}

// A silent connection is cut after the idle time, an active one is not.
func TestIdle(t *testing.T) {
	const idle = 300 * time.Millisecond
	e := Start(t, Config{Idle: idle})
	online(t, e, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for n := range 10 {
			io.WriteString(w, ": keep\n\n")
			http.NewResponseController(w).Flush()
			if r.URL.Path == "/silent" && n == 1 {
				<-r.Context().Done()
				return
			}
			time.Sleep(idle / 5) // the pace of the stream
		}
	}))
	if _, body := do(t, e.Client(false), "GET", "/talks", nil); strings.Count(body, "keep") != 10 {
		t.Errorf("a stream that speaks was cut: %q", body)
	}
	res, err := e.Client(false).Get("https://" + DefaultDomain + "/silent")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err == nil || strings.Count(string(body), "keep") != 2 {
		t.Errorf("a silent stream: got %q, %v", body, err)
	}
}

func TestWarningPage(t *testing.T) {
	e := Start(t, Config{Interstitial: true})
	online(t, e, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Method+" "+r.URL.RequestURI()) }))
	const mozilla = "Mozilla/5.0 (X11; Linux x86_64) tunneltest"
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := e.Client(true)
	c.Jar = jar
	for _, h := range []map[string]string{{}, {"User-Agent": mozilla, "ngrok-skip-browser-warning": "1"}} {
		if _, body := do(t, c, "GET", "/x", h); body != "GET /x" {
			t.Errorf("with %v: got %q", h, body)
		}
	}
	res, body := do(t, c, "GET", "/authorize?a=1&b=2", map[string]string{"User-Agent": mozilla})
	if res.Header.Get("Ngrok-Error-Code") != "ERR_NGROK_6024" || !strings.Contains(body, "Visit Site") {
		t.Fatalf("got %v %q", res.Header, body)
	}
	// A browser without JavaScript posts the form and returns to the same page.
	if !strings.Contains(body, `value="/authorize?a=1&amp;b=2"`) {
		t.Fatalf("the form does not lead back: %s", body)
	}
	post, err := http.NewRequestWithContext(t.Context(), "POST", "https://"+DefaultDomain+visitPath,
		strings.NewReader(url.Values{"to": {"/authorize?a=1&b=2"}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	post.Header.Set("User-Agent", mozilla)
	res, err = c.Do(post)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, _ := io.ReadAll(res.Body)
	if want := "GET /authorize?a=1&b=2"; string(got) != want {
		t.Errorf("after the button: got %q, want %q", got, want)
	}
	if _, body := do(t, c, "POST", "/y", map[string]string{"User-Agent": mozilla}); body != "POST /y" {
		t.Errorf("with the cookie: got %q", body)
	}
}

func TestRename(t *testing.T) {
	e := Start(t, Config{})
	e.Rename(goodToken, "new.ngrok-free.app")
	a, err := connect(t, e, goodToken, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := a.ln.URL().String(), "https://new.ngrok-free.app"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := connect(t, e, goodToken, "https://"+DefaultDomain); codeOf(err) != "ERR_NGROK_319" {
		t.Errorf("the old name: got %v", err)
	}
}

// Clients that take neither an address nor a resolver come through the proxy.
func TestProxy(t *testing.T) {
	e := Start(t, Config{})
	online(t, e, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "here") }))
	p, err := e.Proxy()
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(p)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(u), TLSClientConfig: &tls.Config{RootCAs: e.CA()}}}
	if res, body := do(t, c, "GET", "/", nil); res.StatusCode != 200 || body != "here" {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
	if res, err := c.Get("http://plain.example/"); err != nil || res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("plain http: got %v, %v", res, err)
	}
}

func TestCAFile(t *testing.T) {
	e := Start(t, Config{})
	name, err := e.CAFile(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil || !bytes.HasPrefix(b, []byte("-----BEGIN CERTIFICATE-----")) {
		t.Errorf("got %q, %v", b, err)
	}
	if len(e.SPKI()) != 44 {
		t.Errorf("got a hash of %q", e.SPKI())
	}
}
