package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// A harm is a way to break the tunnel, and how often to do it.
type harm struct {
	name  string
	times int
	do    func(a *app)
	// rebinds says that the agent has to put its address online again.
	rebinds bool
}

const takenOffline = "taken offline"

var harms = []harm{
	{"session killed", 61, func(a *app) { a.world.KillSessions() }, true},
	{"restart from the dashboard", 12, func(a *app) { a.world.Send(tunneltest.DefaultDomain, tunneltest.Restart) }, true},
	{"service gone for a while", 10, func(a *app) {
		a.world.Close()
		a.waitTorn()
		a.world.Reopen()
	}, true},
	{takenOffline, 4, func(a *app) {
		a.world.StopTunnel(tunneltest.DefaultDomain, "", "The endpoint was stopped.")
	}, true},
	{"address held by the earlier session", 3, func(a *app) {
		before := len(a.world.Binds())
		a.world.Hold(tunneltest.DefaultDomain)
		a.world.KillSessions()
		eventually(a.t, time.Minute, "the address was refused", func() bool {
			return slices.ContainsFunc(a.world.Binds()[before:], func(b tunneltest.Bind) bool { return b.Refused != "" })
		})
		a.world.Release(tunneltest.DefaultDomain)
	}, true},
	{"slow line", 6, func(a *app) {
		a.world.Starve(20_000, 50*time.Millisecond)
		eventually(a.t, time.Minute, "a request came through", func() bool { return answers(a.world.Client(false), a.issuer()) })
		a.world.Starve(0, 0)
	}, false},
	{"line that stands still under a request", 3, func(a *app) {
		a.world.Freeze()
		before := a.world.Requests()
		go answers(a.world.Client(false), a.issuer())
		eventually(a.t, time.Minute, "a request is on its way", func() bool { return a.world.Requests() > before })
		a.world.Thaw()
	}, false},
	// Only heartbeats notice: they are 10 s apart and may take 15 s to return.
	{"half-open line", 1, func(a *app) {
		a.world.Freeze()
		a.waitTorn()
		a.world.Thaw()
	}, true},
}

// waitTorn waits until the program has noticed that the tunnel is torn.
func (a *app) waitTorn() {
	a.t.Helper()
	eventually(a.t, time.Minute, "the program has noticed", func() bool { return a.tunnel().State != "online" })
}

// TestN04TunnelTornUnderCalls breaks the tunnel a hundred times while clients
// call all the time. A call may fail, but no call may get the answer to
// another. No client has to sign in again, and the address and all tokens stay
// the same.
func TestN04TunnelTornUnderCalls(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	seed := chooseSeed(t)
	rng := rand.New(rand.NewPCG(seed, 0))

	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	events := shimtest.NewUpstream(t, shimtest.Options{Stateless: true})
	a := startTunneled(t)
	var callers []*caller
	for i, u := range []*shimtest.Upstream{up, events} {
		e := a.addEndpoint(fmt.Sprintf("Echo %d", i+1), u.URL, "")
		callers = append(callers, newCaller(t, a, e, u.Key()))
	}
	stream := &streamer{t: t, http: a.world.Client(true), endpoint: callers[1].endpoint, token: callers[1].client.token()}
	var first []string
	for _, c := range callers {
		first = append(first, c.client.token(), c.client.refreshToken())
	}
	known := a.issuer()

	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	defer working.Wait()
	defer stop()
	for _, c := range callers {
		working.Go(func() { c.work(ctx) })
	}
	working.Go(func() { stream.work(ctx) })

	var deck []harm
	for _, h := range harms {
		for range h.times {
			deck = append(deck, h)
		}
	}
	rng.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	probe := a.world.Client(false)
	longest := make(map[string]time.Duration)
	begin := time.Now()
	for i, h := range deck {
		accepted := bindsAccepted(a.world)
		h.do(a)
		done := time.Now()
		// The SDK's waits start at half a second, ours at a second. Both double with
		// each failure, up to half a minute.
		eventually(t, time.Minute, "the tunnel is back after: "+h.name, func() bool {
			return (!h.rebinds || bindsAccepted(a.world) > accepted) && answers(probe, known) && a.tunnel().State == "online"
		})
		longest[h.name] = max(longest[h.name], time.Since(done).Round(10*time.Millisecond))
		if i%7 == 0 {
			callers[i%2].client.expire() // the next call refreshes
		}
		time.Sleep(rand.N(400 * time.Millisecond))
	}
	for name, took := range longest {
		// The wait doubles each time that the address is taken offline.
		if name != takenOffline && took > longestWait {
			t.Errorf("after %s the tunnel was back only after %v", name, took)
		}
	}
	t.Logf("%d harms in %v; back at most after %v", len(deck), time.Since(begin).Round(time.Second), longest)
	if len(deck) != 100 {
		t.Errorf("there were %d harms, want 100", len(deck))
	}
	for _, c := range callers {
		c.check()
	}
	stream.check()
	stop()
	working.Wait()

	for _, b := range a.world.Binds() {
		if b.Refused == "" && b.Host != tunneltest.DefaultDomain {
			t.Errorf("the tunnel came back as %s, want %s", b.Host, tunneltest.DefaultDomain)
		}
	}
	if st := a.status(); st.PublicOrigin == nil || *st.PublicOrigin != known {
		t.Errorf("the public origin is %v, want %s as before", st.PublicOrigin, known)
	}
	for i, c := range callers {
		if status := post(t, a.http(), c.endpoint, first[2*i], ping).Status; status != http.StatusOK {
			t.Errorf("the first access token of client %d = %d, want 200", i+1, status)
		}
		c.client.expire()
		if _, err := c.client.Token(); err != nil {
			t.Errorf("the refresh token of client %d: %v", i+1, err)
		}
	}
	if n := len(a.grants()); n != len(callers) {
		t.Errorf("there are %d grants, want %d", n, len(callers))
	}
}

func bindsAccepted(w *world) int {
	n := 0
	for _, b := range w.Binds() {
		if b.Refused == "" {
			n++
		}
	}
	return n
}

// answers reports whether the program answers at its public origin.
func answers(c *http.Client, origin string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", origin+"/.well-known/oauth-authorization-server", nil)
	if err != nil {
		return false
	}
	resp, err := c.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusOK
}

// A caller is a go-sdk client that calls echo over and over.
type caller struct {
	t        testing.TB
	endpoint string
	client   *goClient
	http     *http.Client
	sent     *pathCounter

	answered, failed, sessions atomic.Int64
}

// newCaller signs in on the public side.
func newCaller(t testing.TB, a *app, e endpointInfo, key string) *caller {
	t.Helper()
	c := &caller{t: t, endpoint: a.url(e), sent: &pathCounter{base: a.http().Transport}}
	c.http = &http.Client{Transport: c.sent}
	c.client = newGoClient(t, c.http, "http://127.0.0.1:1/callback", func(authorize string) url.Values {
		b := shimtest.NewBrowser(t, a.origin)
		p := b.Consent(continueLink(t, a, authorize), map[string]string{"api_key": key, "action": "approve"})
		return queryOf(t, p.Location)
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := c.connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	return c
}

func (c *caller) connect(ctx context.Context) (*mcp.ClientSession, error) {
	c.sessions.Add(1)
	return mcp.NewClient(&mcp.Implementation{Name: "e2e", Version: "1"}, nil).Connect(ctx,
		&mcp.StreamableClientTransport{Endpoint: c.endpoint, HTTPClient: c.http, OAuthHandler: c.client.handler}, nil)
}

// work calls until ctx ends. If the SDK gives up a session, work opens another,
// as clients do.
func (c *caller) work(ctx context.Context) {
	var s *mcp.ClientSession
	for ctx.Err() == nil {
		call, cancel := context.WithTimeout(ctx, 40*time.Second)
		err := c.callOnce(call, &s)
		cancel()
		if err == nil {
			c.answered.Add(1)
		} else if ctx.Err() == nil {
			c.failed.Add(1)
			s = nil
			time.Sleep(50 * time.Millisecond) // as clients wait before they try again
		}
	}
}

func (c *caller) callOnce(ctx context.Context, s **mcp.ClientSession) (err error) {
	if *s == nil {
		if *s, err = c.connect(ctx); err != nil {
			return err
		}
	}
	want := fmt.Sprintf("%x", rand.Uint64())
	res, err := (*s).CallTool(ctx, &mcp.CallToolParams{Name: "echo", Arguments: map[string]string{"text": want}})
	if err != nil {
		return err
	}
	if len(res.Content) != 1 || res.IsError {
		c.t.Errorf("a call was answered with %+v", res)
		return nil
	}
	if got, ok := res.Content[0].(*mcp.TextContent); !ok || got.Text != want {
		c.t.Errorf("the call with %q was answered with %+v", want, res.Content[0])
	}
	return nil
}

func (c *caller) check() {
	c.t.Helper()
	checkPace(c.t, "the Go client", &c.answered, &c.failed)
	c.t.Logf("it made %d sessions, and %d sets of tokens", c.sessions.Load(), c.client.issued.Load())
	if n := c.client.authorizations.Load(); n != 1 {
		c.t.Errorf("the user was asked %d times, want once", n)
	}
	if n := c.sent.of("/register"); n != 1 {
		c.t.Errorf("the client registered %d times, want once", n)
	}
	if n := c.client.issued.Load(); n < 3 {
		c.t.Errorf("there were %d sets of tokens, so there was no refresh", n)
	}
}

// longestWait is the longest wait between two attempts to open the tunnel.
const longestWait = 30 * time.Second

// checkPace waits until a client's call is answered again, and logs its calls.
func checkPace(t testing.TB, who string, answered, failed *atomic.Int64) {
	t.Helper()
	before := answered.Load()
	eventually(t, time.Minute, who+" is answered again", func() bool { return answered.Load() > before })
	t.Logf("%s: %d calls answered, %d not", who, answered.Load(), failed.Load())
	if answered.Load() < 100 || failed.Load() == 0 {
		t.Errorf("%s: %d calls were answered and %d not, so little was proven", who, answered.Load(), failed.Load())
	}
}

// A pathCounter counts the requests that pass through it, by path.
type pathCounter struct {
	base http.RoundTripper

	mu    sync.Mutex
	paths map[string]int
}

func (p *pathCounter) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	if p.paths == nil {
		p.paths = make(map[string]int)
	}
	p.paths[r.URL.Path]++
	p.mu.Unlock()
	return p.base.RoundTrip(r)
}

func (p *pathCounter) of(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paths[path]
}

// A streamer makes calls without an SDK, and gets event streams as responses.
type streamer struct {
	t        testing.TB
	http     *http.Client
	endpoint string
	token    string

	answered, failed atomic.Int64
}

func (s *streamer) work(ctx context.Context) {
	for id := 1; ctx.Err() == nil; id++ {
		call, cancel := context.WithTimeout(ctx, 40*time.Second)
		if s.once(call, id) {
			s.answered.Add(1)
		} else if ctx.Err() == nil {
			s.failed.Add(1)
			time.Sleep(50 * time.Millisecond) // as clients wait before they try again
		}
		cancel()
	}
}

// once reports whether the answer arrived. The events before it must belong to
// this call and be in order, whether or not the stream was cut.
func (s *streamer) once(ctx context.Context, id int) bool {
	const events = 3
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"stream","arguments":{"events":%d,"millis":5},"_meta":{"progressToken":"p%d"}}}`, id, events, id)
	req, err := http.NewRequestWithContext(ctx, "POST", s.endpoint, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return false
	}
	mcpHeader(req, s.token)
	resp, err := s.http.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusUnauthorized {
		s.t.Error("the access token was refused")
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Ngrok-Error-Code") != "" {
		return false
	}
	seen := 0
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var m struct {
			ID     int
			Method string
			Params struct {
				ProgressToken string
				Progress      int
			}
		}
		if err := json.Unmarshal([]byte(data), &m); err != nil {
			return false // cut within an event
		}
		switch {
		case m.Method == "notifications/progress":
			seen++
			if m.Params.ProgressToken != fmt.Sprintf("p%d", id) || m.Params.Progress != seen {
				s.t.Errorf("event %d of call %d is %s", seen, id, data)
			}
		case m.Method == "":
			if m.ID != id || seen != events {
				s.t.Errorf("after %d events call %d was answered with %s", seen, id, data)
			}
			return true
		}
	}
	return false
}

func (s *streamer) check() {
	s.t.Helper()
	checkPace(s.t, "the streaming client", &s.answered, &s.failed)
}
