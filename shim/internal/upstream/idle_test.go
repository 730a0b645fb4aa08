package upstream

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/shimtest/relay"
)

// A counter is an upstream that ends connections after some idle time. It knows
// which calls arrived, and how often.
type counter struct {
	*httptest.Server
	mu      sync.Mutex
	arrived map[string]int
}

func newCounter(t *testing.T, x crossing) *counter {
	u := &counter{arrived: map[string]int{}}
	u.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		u.mu.Lock()
		u.arrived[string(id)]++
		u.mu.Unlock()
		if x.announced {
			w.Header().Set("Keep-Alive", "timeout="+strconv.Itoa(int(x.idle/time.Second)))
		}
		fmt.Fprint(w, "{}")
	}))
	u.Config.IdleTimeout = x.idle
	u.Config.ErrorLog = log.New(io.Discard, "", 0)
	switch x.kind {
	case "HTTP/2":
		u.EnableHTTP2 = true
		u.StartTLS()
	case "https":
		u.StartTLS()
	default:
		u.Start()
	}
	t.Cleanup(u.Close)
	return u
}

// TestIdleConnections calls upstreams in the round trip before they end an idle
// connection. No call may be lost, and none may arrive twice.
func TestIdleConnections(t *testing.T) {
	longest := 2
	if os.Getenv("CI") == "true" {
		longest = 5
	}
	var all sync.WaitGroup
	for _, kind := range []string{"http", "http, long", "https", "HTTP/2"} {
		for n := 1; n <= longest; n++ {
			all.Go(func() { crossing{kind, time.Duration(n) * time.Second, true}.check(t) })
		}
		if longest == 5 {
			all.Go(func() { crossing{kind, 5 * time.Second, false}.check(t) })
		}
	}
	all.Wait()
}

// firsts holds one for each first call of a client that is under way.
var firsts = make(chan bool, 64)

// A crossing is a kind of upstream whose end of a connection crosses a request.
type crossing struct {
	kind      string
	idle      time.Duration
	announced bool
}

func (x crossing) check(t *testing.T) {
	const lanes, way = 40, 40 * time.Millisecond
	u := newCounter(t, x)
	to := &url.URL{Scheme: "http", Host: relay.Start(t, u.Listener.Addr().String(), way), Path: "/mcp"}
	if u.TLS != nil {
		to.Scheme = "https"
	}
	var all sync.WaitGroup
	for lane := range lanes {
		all.Go(func() {
			c := newClient(t)
			if u.TLS != nil {
				c.TrustRoots(u.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs)
			}
			for round := range 2 {
				id := fmt.Sprint(lane, " ", round)
				if x.kind == "http, long" {
					id += strings.Repeat(".", 100<<10) // more than is sent in one write
				}
				if round == 0 {
					firsts <- true // hundreds of handshakes at once would take too long each
				}
				err := callOnce(t, c, to, id)
				if round == 0 {
					<-firsts
				}
				if err != nil {
					t.Errorf("%+v: call %d of lane %d: %v", x, round, lane, err)
				}
				if round == 0 {
					time.Sleep(x.idle - 2*way*time.Duration(lane)/lanes)
				}
			}
		})
	}
	all.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, n := range u.arrived {
		if n != 1 {
			t.Errorf("%+v: call %.10q arrived %d times", x, id, n)
		}
	}
	if len(u.arrived) != 2*lanes {
		t.Errorf("%+v: %d calls arrived, want %d", x, len(u.arrived), 2*lanes)
	}
}

func callOnce(t *testing.T, c *Client, to *url.URL, id string) error {
	resp, err := post(t, c, &Target{URL: to}, to.String(), nil, strings.NewReader(id))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// After Renew no request goes to a connection that was made before, not even to
// one that still carries a call, and HTTP/2 is still spoken where it was.
func TestRenew(t *testing.T) {
	for _, kind := range []string{"http", "http, long", "https", "HTTP/2"} {
		t.Run(kind, func(t *testing.T) {
			var mu sync.Mutex
			carried := map[string][]string{} // remote address -> words
			proto := ""
			release := make(chan struct{})
			u := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				word := strings.TrimRight(string(b), ".")
				mu.Lock()
				carried[r.RemoteAddr] = append(carried[r.RemoteAddr], word)
				proto = r.Proto
				mu.Unlock()
				if word == "wait" {
					w.(http.Flusher).Flush()
					<-release
				}
			}))
			u.EnableHTTP2 = kind == "HTTP/2"
			to := &url.URL{Scheme: "http", Host: u.Listener.Addr().String(), Path: "/mcp"}
			c := newClient(t)
			if strings.HasPrefix(kind, "http,") || kind == "http" {
				u.Start()
			} else {
				u.StartTLS()
				to.Scheme = "https"
				c.TrustRoots(u.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs)
			}
			defer u.Close()
			say := func(word string) {
				t.Helper()
				if kind == "http, long" {
					word += strings.Repeat(".", 100<<10)
				}
				if err := callOnce(t, c, to, word); err != nil {
					t.Error(err)
				}
			}
			var waiting sync.WaitGroup
			say("before")
			waiting.Go(func() { say("wait") })
			for started := false; !started; time.Sleep(time.Millisecond) {
				mu.Lock()
				for _, words := range carried {
					started = started || slices.Contains(words, "wait")
				}
				mu.Unlock()
			}
			c.Renew()
			say("after")
			close(release)
			waiting.Wait()
			say("after")
			mu.Lock()
			defer mu.Unlock()
			for addr, words := range carried {
				if slices.Contains(words, "after") && len(slices.Compact(slices.Sorted(slices.Values(words)))) > 1 {
					t.Errorf("the connection of %s carried %q", addr, words)
				}
			}
			if want := "HTTP/1.1"; (proto == want) == u.EnableHTTP2 {
				t.Errorf("after Renew the server is spoken to in %s", proto)
			}
		})
	}
}
