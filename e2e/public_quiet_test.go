package e2e

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// runAll runs the tests. In a run of all of them, the quiet test has a separate
// process, which starts first. It only waits for six minutes. Among the others
// it would block two of the parallel slots and end long after them.
func runAll(m *testing.M) int {
	const alone = "TestP11P13QuietThroughTunnel"
	flag.Parse()
	all := testenv.InCI()
	for _, name := range []string{"test.run", "test.skip", "test.list"} {
		all = all && flag.Lookup(name).Value.String() == ""
	}
	if !all {
		return m.Run()
	}
	flag.Set("test.skip", "^"+alone+"$")
	cmd := exec.Command(os.Args[0], "-test.run=^"+alone+"$", "-test.v", "-test.parallel=3", "-test.timeout=20m")
	var out testenv.Output
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	code := m.Run()
	err := cmd.Wait()
	if passed := strings.Count(out.String(), "    --- PASS: "+alone+"/"); err != nil || passed != 3 {
		fmt.Printf("%s--- FAIL: %s, in a process of its own: %d of 3 parts passed, %v\n", out.String(), alone, passed, err)
		return 1
	}
	return code
}

// TestP11P13QuietThroughTunnel stays silent for longer than five minutes, after
// which ngrok closes a connection.
func TestP11P13QuietThroughTunnel(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	const quiet = 6 * time.Minute
	a := startTunneled(t)

	t.Run("P11 event stream", func(t *testing.T) {
		t.Parallel()
		up := shimtest.NewUpstream(t, shimtest.Options{})
		u := signedIn(t, a, a.url(a.addEndpoint("Events", up.URL, "")), up.Key())
		up.Break(shimtest.Only(http.MethodGet, func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "text/event-stream")
			http.NewResponseController(w).Flush()
			select {
			case <-time.After(quiet):
				io.WriteString(w, "data: at last\n\n")
			case <-r.Context().Done():
			}
			return true
		}))
		begin := time.Now()
		s := openStream(t, u.http, u.Resource, u.Access)
		comments := 0
		for s.Scan() {
			switch line := s.Text(); {
			case strings.HasPrefix(line, ":"):
				comments++
			case line == "data: at last":
				if got := time.Since(begin); got < quiet {
					t.Errorf("the event came after %v, want %v", got, quiet)
				}
				t.Logf("the event came after %v and %d comments", time.Since(begin).Round(time.Second), comments)
				return
			case line != "":
				t.Errorf("the stream has the line %q", line)
			}
		}
		t.Errorf("the stream ended after %v without the event: %v", time.Since(begin), s.Err())
	})
	for _, tt := range []struct {
		name  string
		json  bool
		tool  string // name and arguments
		takes time.Duration
	}{
		{"P13 answer of 30 seconds in JSON", true, `"slow","arguments":{"millis":30000}`, 30 * time.Second},
		// Its first event comes at once. Before the upstream responds, there is nothing
		// that we could send in its place.
		{"P13 answer of 6 minutes in an event stream", false, `"stream","arguments":{"events":1,"millis":360000}`, quiet},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: tt.json})
			u := signedIn(t, a, a.url(a.addEndpoint("Slow", up.URL, "")), up.Key())
			got := post(t, u.http, u.Resource, u.Access,
				`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":`+tt.tool+`,"_meta":{"progressToken":"p"}}}`)
			if !got.says("done") {
				t.Errorf("a call that took %v = %d %s, want done", tt.takes, got.Status, got.Body)
			}
		})
	}
}

// openStream opens the event stream of an endpoint, and returns its lines.
func openStream(t testing.TB, c *http.Client, endpoint, token string) *bufio.Scanner {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", endpoint, nil)
	if err != nil {
		t.Fatal(err)
	}
	mcpHeader(req, token)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s = %s, want 200", endpoint, resp.Status)
	}
	return bufio.NewScanner(resp.Body)
}

// ticking answers every GET with an event stream that sends the time.
func ticking() shimtest.Fault {
	return shimtest.Only(http.MethodGet, func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := 0; ; i++ {
			fmt.Fprintf(w, "data: %d\n\n", i)
			http.NewResponseController(w).Flush()
			select {
			case <-time.After(50 * time.Millisecond):
			case <-r.Context().Done():
				return true
			}
		}
	})
}

// A follower reads a stream until it ends.
type follower struct {
	lines chan string
	ended chan struct{}
}

func follow(s *bufio.Scanner) *follower {
	f := &follower{lines: make(chan string, 1), ended: make(chan struct{})}
	go func() {
		defer close(f.ended)
		for s.Scan() {
			select { // keep only the newest line
			case <-f.lines:
			default:
			}
			f.lines <- s.Text()
		}
	}()
	return f
}

// goesOn checks that something new arrives.
func (f *follower) goesOn(t testing.TB, when string) {
	t.Helper()
	for range 4 { // the first may be old
		select {
		case <-f.lines:
		case <-f.ended:
			t.Fatalf("%s: the stream has ended", when)
		case <-time.After(patience):
			t.Fatalf("%s: nothing comes down the stream", when)
		}
	}
}

// endsBy checks that the stream is cut.
func (f *follower) endsBy(t testing.TB, within time.Duration, when string) {
	t.Helper()
	select {
	case <-f.ended:
	case <-time.After(within):
		t.Errorf("%s: after %v the stream is still open", when, within)
	}
}
