package e2e

import (
	"bytes"
	crand "crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// A fault is a program that is killed and restarted while clients use it.
type fault struct {
	t     testing.TB
	a     *app
	last  *life // the life that was killed last
	ports atomic.Int64
	given atomic.Int64 // responses with tokens

	mu       sync.Mutex
	changed  *sync.Cond
	now      *life // nil while the program does not run
	stopping bool  // clients finish what they are doing
	over     bool  // clients get no more responses
}

// A life is the time from one start of the program to its kill.
type life struct {
	http  *http.Transport
	ended chan struct{}

	mu  sync.Mutex
	cut map[string]int // requests that were sent completely and got no response
}

func newFault(t testing.TB, a *app) *fault {
	f := &fault{t: t, a: a}
	f.changed = sync.NewCond(&f.mu)
	f.begin()
	return f
}

// set changes the state that clients wait for, and wakes them.
func (f *fault) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	f.changed.Broadcast()
}

func (f *fault) begin() {
	l := &life{http: &http.Transport{MaxIdleConnsPerHost: faultClients}, ended: make(chan struct{}), cut: make(map[string]int)}
	f.set(func() { f.now = l })
}

// waitForTokens waits until a client gets tokens, for five seconds at most.
func (f *fault) waitForTokens() {
	for given, deadline := f.given.Load(), time.Now().Add(5*time.Second); f.given.Load() == given && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

func (f *fault) kill() {
	f.last = f.now
	f.a.kill()
	f.set(func() { f.now = nil })
	close(f.last.ended)
	f.last.http.CloseIdleConnections()
}

func (f *fault) start() {
	f.t.Helper()
	f.a.start()
	f.begin()
}

func (f *fault) stop()   { f.set(func() { f.stopping = true }) }
func (f *fault) finish() { f.set(func() { f.stopping, f.over = true, true }) }

func (f *fault) stopped() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stopping
}

// running waits until the program runs. It returns nil if it will not run
// again.
func (f *fault) running() *life {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.now == nil && !f.over {
		f.changed.Wait()
	}
	return f.now
}

// addTo counts the requests that the end of l cut off. It reports whether a
// login or a refresh was among them.
func (l *life) addTo(cut map[string]int) (inWork bool) {
	// Wait for the clients that notice the end last.
	for deadline := time.Now().Add(50 * time.Millisecond); !inWork && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		l.mu.Lock()
		for what := range l.cut {
			inWork = inWork || what != "call"
		}
		l.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for what, n := range l.cut {
		cut[what] += n
	}
	return inWork
}

// noAnswer is the status of a request whose connection broke.
const noAnswer = 599

// A faultClient signs in and refreshes over and over. It is the transport of
// its own browser, which makes a broken connection a response like any other.
type faultClient struct {
	f       *fault
	id      *shimtest.OAuthClient
	browser *shimtest.Browser
	http    *http.Client
	rng     *rand.Rand
	key     string

	doing  string // the purpose of a request to /token
	began  *life  // when the current work sent its first request
	killed bool   // the program was killed since then
	keeps  bool   // keeps a code for later instead of redeeming it

	logins []*login
}

func (f *fault) newClient(endpoint, key string, rng *rand.Rand) *faultClient {
	f.t.Helper()
	c := &faultClient{f: f, rng: rng, key: key, browser: shimtest.NewBrowser(f.t, f.a.origin)}
	c.id = oauthClient(f.t, f.a, "http://127.0.0.1:1/callback", endpoint)
	c.browser.HTTP.Transport = c
	c.http = &http.Client{Transport: c}
	return c
}

// RoundTrip implements http.RoundTripper.
func (c *faultClient) RoundTrip(req *http.Request) (*http.Response, error) {
	l := c.f.running()
	if l == nil {
		return answerless(req), nil
	}
	if c.began == nil {
		c.began = l
	}
	c.killed = c.killed || l != c.began
	var sent atomic.Bool
	trace := &httptrace.ClientTrace{WroteRequest: func(i httptrace.WroteRequestInfo) { sent.Store(i.Err == nil) }}
	resp, err := l.http.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	var body []byte
	if err == nil {
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		// The transport repeats a GET when its connection breaks, and the response may
		// come from the next start.
		select {
		case <-l.ended:
			c.killed = true
		default:
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return resp, nil
	}
	if sent.Load() {
		l.mu.Lock()
		l.cut[c.what(req)]++
		l.mu.Unlock()
	}
	select {
	case <-l.ended:
	case <-time.After(10 * time.Second):
		c.f.t.Errorf("%s %s: %v, and the program had not been killed", req.Method, req.URL.Path, err)
	}
	c.killed = true
	return answerless(req), nil
}

func answerless(req *http.Request) *http.Response {
	return &http.Response{StatusCode: noAnswer, Request: req, Header: make(http.Header), Body: http.NoBody, ProtoMajor: 1, ProtoMinor: 1}
}

func (c *faultClient) what(req *http.Request) string {
	switch first, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/"); {
	case first == "token":
		return c.doing
	case first == "consent" && req.Method == http.MethodPost:
		return "approve"
	case first == "authorize" || first == "consent":
		return first
	}
	return "call"
}

// A login is one consent and its result.
type login struct {
	id   shimtest.OAuthClient // with the login's own verifier and redirect URI
	host string               // host of that URI, which tells its grant from the others
	code string
	at   time.Time // when the code arrived

	state   loginState
	access  []string
	refresh []refreshToken // in the order in which they arrived
}

type loginState int

const (
	refused   loginState = iota // no code was made
	unknown                     // the consent got no response
	answered                    // there is a code
	connected                   // there are tokens
	ended                       // the code was replayed, or may have been
)

type refreshToken struct {
	value string
	used  time.Time // first; zero if it is the newest
}

// work signs in and refreshes until the fault is over or something is wrong.
func (c *faultClient) work() {
	for !c.f.stopped() && !c.f.t.Failed() {
		c.began, c.killed = nil, false
		var live []*login
		for _, l := range c.logins {
			if l.state == connected {
				live = append(live, l)
			}
		}
		switch n := c.rng.IntN(100); {
		case n < 25 || len(live) == 0:
			c.login()
		case n < 90:
			c.refresh(live[c.rng.IntN(len(live))])
		default:
			l := live[c.rng.IntN(len(live))]
			c.call(l.access[c.rng.IntN(len(l.access))])
		}
	}
}

// login signs in again. Each login has its own redirect URI, because a loopback
// port may be any.
func (c *faultClient) login() {
	l := &login{id: *c.id, host: fmt.Sprintf("127.0.0.1:%d", 1+c.f.ports.Add(1))}
	l.id.Redirect = "http://" + l.host + "/callback"
	l.id.Verifier, l.id.State = crand.Text()+crand.Text(), crand.Text()
	c.logins = append(c.logins, l)

	page := c.browser.Open(l.id.AuthorizeURL())
	i := slices.IndexFunc(page.Forms, func(f shimtest.Form) bool { return f.Action == page.URL.Path })
	if i < 0 {
		c.mayFail(page, "the consent page")
		return
	}
	page = c.browser.Submit(page.Forms[i], map[string]string{"api_key": c.key, "action": "approve"})
	switch {
	case page.Status == noAnswer:
		l.state = unknown
		return
	case page.Location == "":
		c.mayFail(page, "the consent")
		return
	}
	l.code, l.at, l.state = l.id.CodeFrom(page.Location), time.Now(), answered
	if !c.keeps || c.rng.IntN(8) == 0 {
		c.keeps = true // keep the first code, because on a busy machine there are few
		return
	}
	c.redeem(l)
}

// mayFail reports an unexpected page, unless the program was killed since the
// work began. Requests that wait for a consent are only in its memory.
func (c *faultClient) mayFail(p *shimtest.Page, what string) {
	if !c.killed {
		c.f.t.Errorf("%s is status %d, and the program had not been killed:\n%s", what, p.Status, p.Body)
	}
}

// redeem exchanges the code of l, and tries again until there is a response. If
// the program had handled an earlier request, the next one is a replay.
func (c *faultClient) redeem(l *login) {
	c.doing = "code"
	for try := 0; ; try++ {
		status, answer := c.token(url.Values{
			"grant_type": {"authorization_code"}, "code": {l.code}, "redirect_uri": {l.id.Redirect},
			"client_id": {l.id.ID}, "code_verifier": {l.id.Verifier},
		})
		switch {
		case status == noAnswer && !c.f.isOver():
			continue
		case status == http.StatusOK:
			l.state = connected
			l.add(answer)
		case try > 0 && answer.Error == "invalid_grant":
			l.state = ended
		default:
			c.f.t.Errorf("a code after %d requests without an answer = %d %s, want 200", try, status, answer.Error)
		}
		return
	}
}

func (f *fault) isOver() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.over
}

// refresh uses the newest refresh token of l, and sometimes an older one.
// Without a response, it uses the same token again.
func (c *faultClient) refresh(l *login) {
	c.doing = "refresh"
	i := len(l.refresh) - 1
	if c.rng.IntN(8) == 0 {
		i = c.rng.IntN(len(l.refresh))
	}
	c.use(l, i)
}

// use refreshes with a refresh token of l, if the token must still work.
func (c *faultClient) use(l *login, i int) bool {
	r := &l.refresh[i]
	if r.used.IsZero() {
		r.used = time.Now()
	}
	if time.Since(r.used) > faultLifetime {
		return false
	}
	for try := 0; ; try++ {
		status, answer := c.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {r.value}, "client_id": {l.id.ID}})
		if status == noAnswer && !c.f.isOver() {
			continue
		}
		if status != http.StatusOK {
			c.f.t.Errorf("refresh token %d of %d, first used %v ago, after %d requests without an answer = %d %s, want 200",
				i+1, len(l.refresh), time.Since(r.used), try, status, answer.Error)
			return false
		}
		l.add(answer)
		return true
	}
}

func (l *login) add(a tokenAnswer) {
	l.access = append(l.access, a.Access)
	l.refresh = append(l.refresh, refreshToken{value: a.Refresh})
}

type tokenAnswer struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Error   string `json:"error"`
}

func (c *faultClient) token(v url.Values) (status int, a tokenAnswer) {
	resp, err := c.http.PostForm(c.f.a.origin+"/token", v)
	if err != nil {
		c.f.t.Error(err)
		return 0, a
	}
	defer resp.Body.Close()
	if resp.StatusCode != noAnswer {
		if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
			c.f.t.Errorf("POST /token = %d: %v", resp.StatusCode, err)
		}
		if resp.StatusCode == http.StatusOK {
			c.f.given.Add(1)
		}
	}
	return resp.StatusCode, a
}

// call uses an access token. The call must reach the upstream with its key.
func (c *faultClient) call(token string) {
	if status, body := c.post(token); status != noAnswer && (status != http.StatusOK || !strings.Contains(body, `"tools"`)) {
		c.f.t.Errorf("a call = %d %s, want 200 and the tools", status, body)
	}
}

func (c *faultClient) post(token string) (status int, body string) {
	req, err := http.NewRequest("POST", c.id.Resource, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`))
	if err != nil {
		c.f.t.Error(err)
		return 0, ""
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := c.http.Do(req)
	if err != nil {
		c.f.t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body) // in memory already
	return resp.StatusCode, string(b)
}
