package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/tunnel"
)

// The parts that this test binary plays in TestOtherNetwork.
const (
	partVariable = "K2O_NETWORK_PART"
	partClient   = "client" // in a network of its own
	partServer   = "server" // in another one, at the other end of a wire
)

// TestOtherNetwork moves a computer to another network, and in another case cuts
// its wire, while connections are idle and calls are under way: the next call
// must succeed at once, and those that can get no answer must end with words.
// Both computers are network namespaces of Linux.
func TestOtherNetwork(t *testing.T) {
	switch os.Getenv(partVariable) {
	case partClient:
		otherNetwork(t)
		return
	case partServer:
		farServer()
		return
	}
	testenv.Slow(t)
	testenv.Need(t, "ip")
	unshare := []string{testenv.Need(t, "unshare"), "--net"}
	if os.Getuid() != 0 {
		unshare = append([]string{"sudo", "-n", "--preserve-env=CI," + partVariable}, unshare...)
	}
	t.Parallel()
	for _, change := range []string{"address", "wire"} {
		t.Run(change, func(t *testing.T) {
			t.Parallel()
			args := append(unshare[1:len(unshare):len(unshare)], os.Args[0], "-test.run=^TestOtherNetwork$", "-test.count=1", "-test.v", "-test.timeout=5m")
			cmd := exec.CommandContext(t.Context(), unshare[0], args...)
			cmd.Env = append(os.Environ(), partVariable+"="+partClient, "K2O_NETWORK_CHANGE="+change)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// ip runs a command of iproute2 in this namespace.
func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
}

// farServer serves http on port 80 and https on 443 and 444 of 10.77.0.1 until
// its standard input ends. It says on its standard output when it is in a
// namespace of its own, and when it serves.
func farServer() {
	in := bufio.NewReader(os.Stdin)
	fmt.Println("here")
	in.ReadString('\n') // the wire is there
	for _, args := range []string{"addr add 10.77.0.1/24 dev k2o1", "link set k2o1 up", "link set lo up"} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			log.Fatalf("ip %s: %v\n%s", args, err, out)
		}
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		what, _ := io.ReadAll(r.Body)
		switch string(what) {
		case "wait":
			fmt.Println("called")
			<-r.Context().Done()
		case "stream":
			w.Header().Set("Content-Type", "text/event-stream")
			w.(http.Flusher).Flush()
			fmt.Println("called")
			<-r.Context().Done()
		default:
			// Long enough for the connection to be used again later.
			w.Header().Set("Keep-Alive", "timeout=600")
			io.WriteString(w, r.Proto)
		}
	})
	for _, port := range []string{"80", "443", "444"} {
		ln, err := net.Listen("tcp", "10.77.0.1:"+port)
		if err != nil {
			log.Fatal(err)
		}
		s := httptest.NewUnstartedServer(handler)
		s.Listener = ln
		switch port {
		case "80":
			s.Start()
		case "443":
			s.EnableHTTP2 = true
			fallthrough
		default:
			s.StartTLS()
		}
	}
	fmt.Println("serving")
	in.ReadString('\n')
}

// startFar starts farServer at the other end of a wire, whose end here has the
// address 10.77.0.2. wait waits for what the server says.
func startFar(t *testing.T) (wait func(want string)) {
	t.Helper()
	far := exec.CommandContext(t.Context(), "unshare", "--net", os.Args[0], "-test.run=^TestOtherNetwork$")
	far.Env = append(os.Environ(), partVariable+"="+partServer)
	far.Stderr = os.Stderr
	in, err := far.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := far.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := far.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); far.Wait() })
	said := bufio.NewReader(out)
	wait = func(want string) {
		t.Helper()
		if got, err := said.ReadString('\n'); got != want+"\n" {
			t.Fatalf("the server said %q, %v, want %q", got, err, want)
		}
	}
	wait("here")
	ip(t, fmt.Sprintf("link add k2o0 type veth peer name k2o1 netns %d", far.Process.Pid))
	ip(t, "link set lo up")
	ip(t, "link set k2o0 up")
	ip(t, "addr add 10.77.0.2/24 dev k2o0")
	io.WriteString(in, "\n")
	wait("serving")
	return wait
}

func otherNetwork(t *testing.T) {
	wait := startFar(t)
	var watch tunnel.Watch
	c := newClient(t)
	c.Look = watch.Look
	watch.Tell(func(bool) { c.Renew() })
	watch.Look()
	c.secure.Load().TLSClientConfig = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} // the wire is the test's own

	places := []string{"http://10.77.0.1", "https://10.77.0.1", "https://10.77.0.1:444"}
	for _, place := range places {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				proto, err := say(t, c, place, "")
				if err != nil {
					t.Errorf("%s before the change: %v", place, err)
				}
				if place == places[1] && proto != "HTTP/2.0" || place != places[1] && proto != "HTTP/1.1" {
					t.Errorf("%s speaks %s", place, proto)
				}
			})
		}
		all.Wait()
	}

	type ended struct {
		what string
		err  error
		took time.Duration
	}
	over := make(chan ended)
	var changed time.Time
	for _, place := range places {
		for _, what := range []string{"wait", "stream"} {
			go func() {
				_, err := say(t, c, place, what)
				over <- ended{place + " " + what, err, time.Since(changed)}
			}()
		}
	}
	for range 2 * len(places) {
		wait("called") // they are under way
	}
	c.looked.Store(-int64(time.Minute)) // the networks are looked at before the next request

	changed = time.Now()
	if os.Getenv("K2O_NETWORK_CHANGE") == "wire" {
		ip(t, "link set k2o0 down")
	} else {
		ip(t, "addr del 10.77.0.2/24 dev k2o0")
		ip(t, "addr add 10.77.0.3/24 dev k2o0")
		for _, place := range places {
			begin := time.Now()
			if _, err := say(t, c, place, ""); err != nil {
				t.Errorf("%s after the change: %v", place, err)
			}
			if d := time.Since(begin); d > 10*time.Second {
				t.Errorf("%s after the change took %v", place, d)
			}
		}
	}
	for range 2 * len(places) {
		e := <-over
		t.Logf("%s ended after %v: %v", e.what, e.took, e.err)
		if e.err == nil || Explain(e.err) != TextLost {
			t.Errorf("%s ended with %v, which is explained as %q", e.what, e.err, Explain(e.err))
		}
		if e.took > 100*time.Second {
			t.Errorf("%s took %v to end", e.what, e.took)
		}
	}
}

// say posts a word and returns the answer.
func say(t *testing.T, c *Client, place, word string) (string, error) {
	to, err := url.Parse(place + "/mcp")
	if err != nil {
		t.Error(err)
		return "", err
	}
	req, err := http.NewRequestWithContext(WithTarget(context.Background(), &Target{URL: to}), http.MethodPost, to.String(), strings.NewReader(word))
	if err != nil {
		return "", err
	}
	resp, err := c.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}
