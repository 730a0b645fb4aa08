package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// upstreamEnv turns TestUpstreamProcess into the upstream of another test,
// which can kill it.
const upstreamEnv = "K2O_E2E_UPSTREAM"

// TestUpstreamProcess is not a test but a process: an MCP server at the address
// from the environment, which runs until it is killed. It answers GET with a
// stream of numbered events that starts after Last-Event-ID. A stream can
// therefore continue where an earlier process stopped.
func TestUpstreamProcess(t *testing.T) {
	addr := os.Getenv(upstreamEnv)
	if addr == "" {
		t.Log("not started as an upstream")
		return
	}
	up := shimtest.NewUpstream(t, shimtest.Options{Addr: addr, Stateless: true, Key: apiKey})
	up.Break(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "Bearer "+apiKey {
			return false
		}
		fmt.Println("got", r.Method)
		if r.Method != http.MethodGet {
			return false
		}
		w.Header().Set("Content-Type", "text/event-stream")
		last, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
		for i := last + 1; r.Context().Err() == nil; i++ {
			fmt.Fprintf(w, "id: %d\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n", i)
			http.NewResponseController(w).Flush()
			time.Sleep(20 * time.Millisecond) // the pace of the stream
		}
		return true
	})
	fmt.Println("listening")
	select {}
}

// An upstreamProcess is an upstream that can be killed, and restarted at the
// same address.
type upstreamProcess struct {
	t    testing.TB
	addr string
	cmd  *exec.Cmd
	out  *testenv.Output
}

func (p *upstreamProcess) start() {
	p.t.Helper()
	p.out = new(testenv.Output)
	p.cmd = exec.Command(os.Args[0], "-test.run", "^TestUpstreamProcess$", "-test.timeout", "0")
	p.cmd.Env = append(os.Environ(), upstreamEnv+"="+p.addr)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.wait("listening", 1)
}

// wait waits until the process has printed a line n times.
func (p *upstreamProcess) wait(line string, n int) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); strings.Count(p.out.String(), line) < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("the upstream has not printed %q %d times but:\n%s", line, n, p.out)
		}
	}
}

func (p *upstreamProcess) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// An eventStream is a client's stream of numbered events.
type eventStream struct {
	t    testing.TB
	resp *http.Response
	in   *bufio.Scanner
	last int
}

// open opens the stream after the event last.
func (u *user) open(last int) *eventStream {
	u.t.Helper()
	req, err := http.NewRequest(http.MethodGet, u.Resource, nil)
	if err != nil {
		u.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+u.Access)
	req.Header.Set("Accept", "text/event-stream")
	if last > 0 {
		req.Header.Set("Last-Event-ID", strconv.Itoa(last))
	}
	resp, err := fresh.Do(req)
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() { resp.Body.Close() })
	return &eventStream{t: u.t, resp: resp, in: bufio.NewScanner(resp.Body), last: last}
}

// read reads n events, or with n < 0 all until the stream ends. No event may be
// missing or arrive twice.
func (s *eventStream) read(n int) {
	s.t.Helper()
	for n != 0 && s.in.Scan() {
		id, ok := strings.CutPrefix(s.in.Text(), "id: ")
		if !ok {
			continue
		}
		if got, err := strconv.Atoi(id); err != nil || got != s.last+1 {
			s.t.Fatalf("event %q follows event %d", id, s.last)
		}
		s.last++
		n--
	}
	if n > 0 {
		s.t.Fatalf("the stream ended %d events early: %v", n, s.in.Err())
	}
}

// TestP19M06UpstreamGoneAndBack kills the upstream over and over, during calls
// and streams. Clients must learn that it is gone without losing their sign-in,
// and work again when it is back. No key may count as rejected.
func TestP19M06UpstreamGoneAndBack(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	up := &upstreamProcess{t: t, addr: freeAddr(t)}
	up.start()
	t.Cleanup(func() { up.kill() })
	a := startApp(t)
	e := a.addEndpoint("Linear", "http://"+up.addr+"/mcp", apiKey)
	u := signedIn(t, a, e.Local, apiKey)
	last := 0
	for round := range 5 {
		when := fmt.Sprintf("round %d", round+1)
		stream := u.open(last)
		stream.read(3)
		type result struct {
			reply
			err error
		}
		slow, streamed := make(chan result, 1), make(chan result, 1)
		posts := strings.Count(up.out.String(), "got POST")
		begin := func(done chan<- result, tool string, args map[string]int) {
			r, err := callTool(fresh, e.Local, u.Access, tool, args)
			done <- result{r, err}
		}
		go begin(slow, "slow", map[string]int{"millis": 60_000})
		go begin(streamed, "stream", map[string]int{"millis": 20, "events": 3000})
		up.wait("got POST", posts+2)
		stream.read(3)
		up.kill()

		// The response had not begun, or it breaks off.
		for what, done := range map[string]chan result{"a silent call": slow, "a call with an event stream": streamed} {
			select {
			case r := <-done:
				if r.err == nil && (r.Status != http.StatusBadGateway || r.Header.Get("WWW-Authenticate") != "") && (r.Status != http.StatusOK || strings.Contains(r.Body, "result")) {
					t.Errorf("%s: %s whose upstream is killed = %d %s", when, what, r.Status, r.Body)
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("%s: %s still waits for an upstream that was killed", when, what)
			}
		}
		stream.read(-1)
		last = stream.last

		for range 3 {
			r := u.call()
			if r.Status != http.StatusBadGateway || !strings.Contains(r.Body, `"jsonrpc"`) {
				t.Errorf("%s: a call without an upstream = %d %s, want 502 as JSON-RPC", when, r.Status, r.Body)
			}
			s := u.open(last)
			io.Copy(io.Discard, s.resp.Body)
			if s.resp.StatusCode != http.StatusBadGateway {
				t.Errorf("%s: a stream without an upstream = %d, want 502", when, s.resp.StatusCode)
			}
		}
		u.mustRefresh(when+": without an upstream", u.Refresh)
		mustNotBlame(t, a, when+": without an upstream")

		up.start()
		u.mustAll(when + ": the upstream is back")
		stream = u.open(last)
		stream.read(3)
		last = stream.last
		stream.resp.Body.Close()
		mustNotBlame(t, a, when+": the upstream is back")
	}
	if n := len(a.grants()); n != 1 {
		t.Errorf("there are %d grants, want 1", n)
	}
}

// mustNotBlame makes sure that no key counts as rejected.
func mustNotBlame(t *testing.T, a *app, when string) {
	t.Helper()
	var list struct {
		Slugs []struct {
			State       string
			Credentials []struct{ State string }
		}
	}
	a.api("GET", "/api/slugs", nil, &list)
	n := 0
	for _, e := range list.Slugs {
		for _, c := range e.Credentials {
			n++
			if c.State != "ok" {
				t.Errorf("%s: a key is %s, want ok", when, c.State)
			}
		}
	}
	if n == 0 {
		t.Errorf("%s: there is no key", when)
	}
}
