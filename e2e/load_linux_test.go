package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

const (
	loadClients   = 100  // clients that are signed in and busy
	loadStreams   = 1000 // open and silent streams, ten for each client
	loadStrangers = 16   // strangers that send without a pause
	loadPhase     = 6 * time.Second

	// A silent stream may cost 100 kB: two connections with buffers of 4 kB each
	// way, and the goroutines of both. A thousand requests that wait for a person
	// may hold 16 kB each, and each stranger's body of 64 kB is read at the same
	// time. Go lets the heap grow to twice the live memory before it collects.
	loadMemory = 2 * (loadStreams*100<<10 + 1000*16<<10 + loadStrangers*64<<10 + 20<<20)
)

// TestR08P23Load holds a thousand silent streams and a hundred busy clients
// while strangers flood registration, authorization and everything else that is
// open to them. Every call must get its answer, no stream may be delayed or
// cut, memory must stay bounded, and nothing from the flood may be written to
// disk. The speed is only reported.
func TestR08P23Load(t *testing.T) { // not parallel: it needs the machine alone
	testenv.Slow(t)
	needFiles(t, 4*loadStreams)
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	wake := make(chan struct{})
	up.Break(shimtest.Only(http.MethodGet, silentStream(wake)))
	// Not debug, which would log every request of the clients.
	a := startWith(t, &app{args: []string{"--log-level", "info"}})
	e := a.addEndpoint("Linear", up.URL, up.Key())
	users := make([]*user, loadClients)
	for i := range users {
		users[i] = signedIn(t, a, e.Local, up.Key())
	}
	start := memory(t, a)

	streams := openStreams(t, users, wake)
	withStreams := memory(t, a)
	t.Logf("%d silent streams: %d kB resident, %.1f kB each", loadStreams, withStreams.now>>10, float64(withStreams.now-start.now)/loadStreams/1024)

	quiet := busy(t, users, loadPhase)
	f := newFlood(t, a, e.Local)
	f.begin()
	loud := busy(t, users, loadPhase)
	f.end()
	first := memory(t, a)
	// Only one in nine is a registration, and two in nine wait for a person.
	enough := max(2000, f.total())
	t.Logf("%d calls a second; %d while %d strangers send %d requests a second: %v",
		quiet, loud, loadStrangers, f.total()/int(loadPhase/time.Second), f.count)

	// No client is busy now, so all writes come from the flood.
	before := settle(t, a)
	f = newFlood(t, a, e.Local)
	f.begin()
	eventually(t, patience, fmt.Sprintf("strangers have sent %d requests", enough), func() bool { return f.total() >= enough })
	f.end()
	if after := settle(t, a); after != before {
		t.Errorf("a flood of %d requests has changed the data folder from %+v to %+v", f.total(), before, after)
	}
	last := memory(t, a)
	t.Logf("the flood alone: %v", f.count)
	t.Logf("resident: %d kB after the first flood, %d after the second, %d at most", first.now>>10, last.now>>10, last.peak>>10)
	if last.peak > loadMemory {
		t.Errorf("the program took %d kB, at most %d are fine", last.peak>>10, loadMemory>>10)
	}
	if last.now > first.now+first.now/2 {
		t.Errorf("a second flood has made the program grow from %d to %d kB", first.now>>10, last.now>>10)
	}

	close(wake)
	streams.Wait()
	for _, u := range users {
		u.mustCall("after the flood")
	}
}

// needFiles checks that this process may open n files. The limit of the program
// is the same. The Go runtime has already raised it as far as possible.
func needFiles(t *testing.T, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < n {
		testenv.Skip(t, fmt.Sprintf("lets a process open %d files, and %d are needed", limit.Cur, n))
	}
}

// silentStream answers with an event stream that sends one event, after wake is
// closed.
func silentStream(wake <-chan struct{}) shimtest.Fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "text/event-stream")
		http.NewResponseController(w).Flush()
		select {
		case <-wake:
			io.WriteString(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/awake\"}\n\n")
		case <-r.Context().Done():
		}
		return true
	}
}

// openStreams opens the streams. Each must stay silent until wake is closed,
// and then deliver its event.
func openStreams(t *testing.T, users []*user, wake <-chan struct{}) *sync.WaitGroup {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	t.Cleanup(c.CloseIdleConnections)
	opened := make(chan error, loadStreams)
	var streams sync.WaitGroup
	for i := range loadStreams {
		u := users[i%len(users)]
		req, err := http.NewRequest(http.MethodGet, u.Resource, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+u.Access)
		req.Header.Set("Accept", "text/event-stream")
		streams.Go(func() {
			resp, err := c.Do(req)
			if err == nil && resp.StatusCode != http.StatusOK {
				resp.Body.Close()
				err = fmt.Errorf("a stream = %s", resp.Status)
			}
			opened <- err
			if err != nil {
				return
			}
			defer resp.Body.Close()
			awake := false
			for in := bufio.NewScanner(resp.Body); in.Scan(); {
				if !strings.HasPrefix(in.Text(), "data:") {
					continue // a keep-alive comment
				}
				select {
				case <-wake:
					awake = strings.Contains(in.Text(), "notifications/awake")
				default:
					t.Errorf("a silent stream says %q", in.Text())
				}
			}
			if !awake {
				t.Error("a stream ended without its event")
			}
		})
	}
	for range loadStreams {
		if err := <-opened; err != nil {
			t.Fatal(err)
		}
	}
	return &streams
}

// busy lets every client call over and over, and refresh sometimes. It returns
// the calls per second.
func busy(t *testing.T, users []*user, d time.Duration) int {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: len(users)}}
	defer c.CloseIdleConnections()
	var calls atomic.Int64
	var clients sync.WaitGroup
	for i, u := range users {
		clients.Go(func() {
			for n, end := 0, time.Now().Add(d); time.Now().Before(end) && !t.Failed(); n++ {
				want := fmt.Sprintf("client %d, call %d", i, n)
				r, err := callTool(c, u.Resource, u.Access, "echo", map[string]string{"text": want})
				if err != nil || !r.says(want) {
					t.Errorf("%s = %d %s, %v", want, r.Status, r.Body, err)
				}
				calls.Add(1)
				if n%100 == 99 {
					u.mustRefresh("busy", u.Refresh)
				}
			}
		})
	}
	clients.Wait()
	return int(calls.Load()) / int(d/time.Second)
}

// A flood is the requests of strangers.
type flood struct {
	t        *testing.T
	requests []func() *http.Request
	stop     chan struct{}
	running  sync.WaitGroup

	mu    sync.Mutex
	count map[string]int
}

func newFlood(t *testing.T, a *app, endpoint string) *flood {
	t.Helper()
	c := oauthClient(t, a, "http://127.0.0.1:1/callback", endpoint)
	c.State = strings.Repeat("s", 4000)
	authorize := c.AuthorizeURL()
	metadata, err := json.Marshal(map[string]any{
		"client_name": strings.Repeat("n", 100), "token_endpoint_auth_method": "none",
		"redirect_uris": []string{"https://client.example/" + strings.Repeat("r", 500)},
	})
	if err != nil {
		t.Fatal(err)
	}
	post := func(u, contentType string, body []byte) func() *http.Request {
		return func() *http.Request {
			req, err := http.NewRequest(http.MethodPost, u, bytes.NewReader(body))
			if err != nil {
				panic(err) // only constants
			}
			req.Header.Set("Content-Type", contentType)
			return req
		}
	}
	get := func(u string) func() *http.Request {
		return func() *http.Request {
			req, err := http.NewRequest(http.MethodGet, u, nil)
			if err != nil {
				panic(err) // only constants
			}
			return req
		}
	}
	form := func(pairs ...string) []byte {
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return []byte(v.Encode())
	}
	const formType = "application/x-www-form-urlencoded"
	guess := post(endpoint, "application/json", []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
	return &flood{t: t, stop: make(chan struct{}), count: make(map[string]int), requests: []func() *http.Request{
		post(a.origin+"/register", "application/json", metadata),
		get(authorize),
		post(a.origin+"/register", "application/json", bytes.Repeat([]byte("{"), 60<<10)),
		get(authorize),
		post(a.origin+"/token", formType, form("grant_type", "refresh_token", "client_id", c.ID, "refresh_token", "k2o_rt_guess."+strings.Repeat("a", 43))),
		func() *http.Request {
			req := guess()
			req.Header.Set("Authorization", "Bearer k2o_at_guess."+strings.Repeat("a", 43))
			return req
		},
		post(a.origin+"/revoke", formType, form("client_id", c.ID, "token", strings.Repeat("t", 60<<10))),
		get(a.origin + "/.well-known/oauth-authorization-server"),
		get(a.origin + "/" + strings.Repeat("p", 4000)),
	}}
}

func (f *flood) begin() {
	for i := range loadStrangers {
		f.running.Go(func() {
			// Half of them open a connection for each request.
			tr := &http.Transport{DisableKeepAlives: i%2 == 0}
			defer tr.CloseIdleConnections()
			for n := i; ; n++ {
				select {
				case <-f.stop:
					return
				default:
				}
				req := f.requests[n%len(f.requests)]()
				resp, err := tr.RoundTrip(req)
				if err != nil {
					f.t.Errorf("a stranger's %s %.40s: %v", req.Method, req.URL.Path, err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				f.mu.Lock()
				f.count[fmt.Sprintf("%.12s %d", req.URL.Path, resp.StatusCode)]++
				f.mu.Unlock()
			}
		})
	}
}

func (f *flood) end() {
	close(f.stop)
	f.running.Wait()
}

func (f *flood) total() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.count {
		n += c
	}
	return n
}

// A footprint is the private memory of the program.
type footprint struct{ now, peak int }

func memory(t *testing.T, a *app) footprint {
	t.Helper()
	status := readFile(t, fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	field := func(name string) int {
		_, rest, ok := strings.Cut(status, name+":")
		f := strings.Fields(rest)
		if !ok || len(f) < 2 || f[1] != "kB" {
			t.Fatalf("there is no %s in\n%s", name, status)
		}
		n, err := strconv.Atoi(f[0])
		if err != nil {
			t.Fatal(err)
		}
		return n << 10
	}
	return footprint{field("RssAnon"), field("VmHWM")}
}
