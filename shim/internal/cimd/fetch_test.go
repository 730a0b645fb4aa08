package cimd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// A clock stands still until it is set forward.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.ns.Store(time.Now().UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) forward(d time.Duration) { c.ns.Add(int64(d)) }

// newClients returns clients that fetch their documents from srv.
func newClients(srv *shimtest.Documents) (*Clients, *clock) {
	k := newClock()
	return &Clients{Transport: srv.Transport(), Now: k.now}, k
}

// guarded returns clients with the program's own transport, except that dns
// resolves names and port 443 is the port of srv.
func guarded(srv *shimtest.Documents, dns *nameServer) *Clients {
	c := &Clients{resolver: dns.resolver()}
	c.init()
	tr := c.http().Transport.(*http.Transport)
	tr.TLSClientConfig.RootCAs = srv.Pool
	dial := tr.DialContext
	_, port, _ := net.SplitHostPort(srv.Addr)
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, _ := net.SplitHostPort(addr)
		return dial(ctx, network, net.JoinHostPort(host, port))
	}
	return c
}

func TestC03ForbiddenAddresses(t *testing.T) {
	for name, addrs := range map[string][]string{
		"C03 this machine":     {"127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"},
		"C03 private networks": {"10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1", "fd00::1", "::ffff:10.1.2.3"},
		"C03 link-local":       {"169.254.169.254", "169.254.0.1", "fe80::1", "::ffff:169.254.169.254"},
		"C03 embedded":         {"64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::1", "2002:a9fe:a9fe::1", "::127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := shimtest.NewDocuments(t)
			names := map[string][]string{}
			for i, addr := range addrs {
				names[fmt.Sprintf("h%d.example", i)] = []string{addr}
			}
			c := guarded(srv, newNameServer(t, names))
			for host, addr := range names {
				id := "https://" + host + "/client.json"
				srv.Publish(document(map[string]any{"client_id": id}))
				cl, err := c.Fetch(t.Context(), id)
				if _, ok := errors.AsType[*safedial.RefusedError](err); !ok {
					t.Errorf("%s: got %+v, %v, want a refusal to connect", addr, cl, err)
				}
			}
			if n := srv.Fetches(); n != 0 {
				t.Errorf("%d requests arrived, want 0", n)
			}
		})
	}
	t.Run("C03 our own listeners", func(t *testing.T) {
		own := netip.MustParseAddrPort("93.184.215.14:443")
		g := &safedial.Guard{Own: func() []netip.AddrPort { return []netip.AddrPort{own} }, Public: true}
		_, err := g.DialContext("https")(t.Context(), "tcp", own.String())
		if _, ok := errors.AsType[*safedial.RefusedError](err); !ok {
			t.Errorf("got %v, want a refusal to connect", err)
		}
	})
}

// TestC04Rebinding looks a name up like a program that checks before it
// connects, and gets a public address. The second answer is this computer.
func TestC04Rebinding(t *testing.T) {
	srv := shimtest.NewDocuments(t)
	dns := newNameServer(t, map[string][]string{"rebind.example": {"93.184.215.14", "127.0.0.1"}})
	const id = "https://rebind.example/client.json"
	srv.Publish(document(map[string]any{"client_id": id}))
	addrs, err := dns.resolver().LookupNetIP(t.Context(), "ip4", "rebind.example")
	if err != nil || len(addrs) != 1 || safedial.Judge(addrs[0].Unmap(), "https") != "" || addrs[0].Unmap().IsLoopback() {
		t.Fatalf("the check beforehand: got %v, %v, want a public address", addrs, err)
	}
	_, err = guarded(srv, dns).Fetch(t.Context(), id)
	if r, ok := errors.AsType[*safedial.RefusedError](err); !ok || !r.Addr.Addr().IsLoopback() {
		t.Errorf("got %v, want a refusal to connect to this machine", err)
	}
	if n := srv.Fetches(); n != 0 {
		t.Errorf("%d requests arrived, want 0", n)
	}
}

func TestC05BadAnswers(t *testing.T) {
	srv := shimtest.NewDocuments(t)
	c, k := newClients(srv)
	c.timeout = 300 * time.Millisecond
	good := `{"client_id":"` + id + `","client_name":"x","redirect_uris":["https://client.example/cb"],"token_endpoint_auth_method":"none"}`
	answer := func(status int, contentType, body string, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	srv.Publish(document(map[string]any{"client_id": "https://client.example/other"}))
	for name, h := range map[string]http.HandlerFunc{
		"C05 redirect":        answer(http.StatusFound, "application/json", good, "Location", "https://client.example/other"),
		"C05 redirect to it":  answer(http.StatusPermanentRedirect, "application/json", good, "Location", id),
		"C05 created":         answer(http.StatusCreated, "application/json", good),
		"C05 forbidden":       answer(http.StatusForbidden, "application/json", good),
		"C05 server error":    answer(http.StatusInternalServerError, "application/json", good),
		"C05 HTML":            answer(http.StatusOK, "text/html", good),
		"C05 JSON as text":    answer(http.StatusOK, "text/plain", good),
		"C05 no type":         answer(http.StatusOK, "", good),
		"C05 two types":       answer(http.StatusOK, "application/json, text/html", good),
		"C05 too large":       answer(http.StatusOK, "application/json", good+strings.Repeat(" ", 64<<10)),
		"C05 compressed":      answer(http.StatusOK, "application/json", "\x1f\x8b", "Content-Encoding", "gzip"),
		"C05 no JSON":         answer(http.StatusOK, "application/json", "<html>"),
		"C02 another id":      answer(http.StatusOK, "application/json", strings.Replace(good, "client.json", "client2.json", 1)),
		"C05 slow to begin":   func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"C05 slow in between": slowly(good),
	} {
		t.Run(name, func(t *testing.T) {
			k.forward(time.Minute)
			srv.Handle(id, h)
			before, begin := srv.Fetches(), time.Now()
			if cl, err := c.Fetch(t.Context(), id); err == nil {
				t.Errorf("got %+v, want an error", cl)
			}
			if n := srv.Fetches() - before; n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
			if d := time.Since(begin); d > 10*c.timeout {
				t.Errorf("took %v", d)
			}
		})
	}
	t.Run("C08 failures are not kept", func(t *testing.T) {
		k.forward(time.Minute)
		srv.Handle(id, answer(http.StatusOK, "application/json; charset=utf-8", good))
		if _, err := c.Fetch(t.Context(), id); err != nil {
			t.Errorf("got %v after the server had recovered, want none", err)
		}
	})
	if fetchTimeout != 10*time.Second {
		t.Errorf("a fetch may take %v, want 10 s", fetchTimeout)
	}
}

// slowly sends a body that never ends.
func slowly(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for r.Context().Err() == nil {
			fmt.Fprint(w, " ")
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond) // the pace of a slow server
		}
		fmt.Fprint(w, body)
	}
}

func TestC06OlderCopies(t *testing.T) {
	srv := shimtest.NewDocuments(t)
	c, k := newClients(srv)
	t.Run("C06 one that came with the program", func(t *testing.T) {
		for pin, want := range pins() {
			cl, err := c.Fetch(t.Context(), pin)
			if err != nil || cl.Name != want.Name || !cl.BuiltIn {
				t.Errorf("%s, which is not served: got %+v, %v", pin, cl, err)
			}
		}
	})
	t.Run("C06 one that was fetched, for seven days", func(t *testing.T) {
		srv.Publish(document(nil))
		k.forward(time.Minute)
		if _, err := c.Fetch(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		srv.Handle(id, nil)
		k.forward(maxStale - time.Second)
		if _, err := c.Fetch(t.Context(), id); err != nil {
			t.Errorf("before seven days: got %v, want none", err)
		}
		if _, fresh, ok := c.Recall(id); !ok || fresh {
			t.Errorf("Recall before seven days: got fresh %t, ok %t", fresh, ok)
		}
		k.forward(time.Second)
		if _, _, ok := c.Recall(id); ok {
			t.Error("it is still cached after seven days")
		}
		if cl, err := c.Fetch(t.Context(), id); err == nil {
			t.Errorf("after seven days: got %+v, want an error", cl)
		}
	})
	t.Run("C06 a pin is renewed behind", func(t *testing.T) {
		const claude = "https://claude.ai/oauth/mcp-oauth-client-metadata"
		srv.Publish(document(map[string]any{"client_id": claude, "client_name": "Claude 2"}))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { c.Run(ctx) })
		defer wg.Wait()
		defer cancel()
		k.forward(time.Minute)
		before := srv.Fetches()
		for range 3 {
			c.Refresh(claude)
		}
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			cl, fresh, ok := c.Recall(claude)
			if ok && fresh && cl.Name == "Claude 2" && cl.BuiltIn {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("got %+v, fresh %t", cl, fresh)
			}
		}
		c.Refresh(claude)
		c.Refresh("https://unknown.example/c")
		if n := srv.Fetches() - before; n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

// A waiting context tells when it begins to be waited for.
type waiting struct {
	context.Context
	begun chan<- struct{}
}

func (w waiting) Done() <-chan struct{} {
	select {
	case w.begun <- struct{}{}:
	default: // it was told
	}
	return w.Context.Done()
}

func TestC07C08Cache(t *testing.T) {
	for _, tt := range []struct {
		name, control string
		fresh         time.Duration // 0: not kept
	}{
		{"C08 nothing said", "", minFresh},
		{"C08 short", "max-age=1", minFresh},
		{"C08 zero", "public, max-age=0", minFresh},
		{"C08 no-cache", "no-cache", minFresh},
		{"C08 hour", "max-age=3600", time.Hour},
		{"C08 quoted", `MAX-AGE="3600"`, time.Hour},
		{"C08 shared", "s-maxage=7200, max-age=60", 2 * time.Hour},
		{"C08 shared last", "max-age=60, s-maxage=7200", 2 * time.Hour},
		{"C08 year", "max-age=31536000, immutable", maxFresh},
		{"C08 beyond numbers", "max-age=99999999999999999999999", maxFresh},
		{"C08 negative", "max-age=-1", minFresh},
		{"C07 no-store", "no-store", 0},
		{"C07 no-store and more", "max-age=3600, No-Store", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := shimtest.NewDocuments(t)
			c, k := newClients(srv)
			srv.Publish(document(nil), "Cache-Control", tt.control)
			fetch := func(want int) {
				t.Helper()
				if _, err := c.Fetch(t.Context(), id); err != nil {
					t.Fatal(err)
				}
				if n := srv.Fetches(); n != want {
					t.Errorf("%d fetches, want %d", n, want)
				}
			}
			fetch(1)
			if tt.fresh == 0 {
				if _, _, ok := c.Recall(id); ok {
					t.Error("it is kept")
				}
				fetch(2)
				return
			}
			k.forward(tt.fresh - time.Second)
			fetch(1)
			k.forward(time.Second)
			fetch(2)
		})
	}
	t.Run("C07 those who ask at once share one fetch", func(t *testing.T) {
		srv := shimtest.NewDocuments(t)
		c, _ := newClients(srv)
		srv.Publish(document(nil), "Cache-Control", "no-store")
		h := make(chan struct{})
		published := srv.Handler(id)
		srv.Handle(id, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-h; published.ServeHTTP(w, r) }))
		var wg sync.WaitGroup
		gone, leave := context.WithCancel(t.Context())
		wg.Go(func() { c.Fetch(gone, id) })
		for end := time.Now().Add(testenv.Patience); srv.Fetches() == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("nothing is fetched")
			}
		}
		waits := make(chan struct{}, 5)
		for range 5 {
			wg.Go(func() {
				if _, err := c.Fetch(waiting{t.Context(), waits}, id); err != nil {
					t.Error(err)
				}
			})
		}
		for range 5 {
			<-waits
		}
		leave() // the browser that started it
		close(h)
		wg.Wait()
		if n := srv.Fetches(); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
	t.Run("the memory is bounded", func(t *testing.T) {
		srv := shimtest.NewDocuments(t)
		c, k := newClients(srv)
		for i := range maxEntries + 20 {
			k.forward(time.Minute)
			one := fmt.Sprintf("https://client.example/%d", i)
			srv.Publish(document(map[string]any{"client_id": one}), "Cache-Control", "max-age=86400")
			if _, err := c.Fetch(t.Context(), one); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(c.entries); n != maxEntries {
			t.Errorf("%d documents are kept, want %d", n, maxEntries)
		}
		if _, _, ok := c.Recall("https://client.example/0"); ok {
			t.Error("the oldest is still kept")
		}
		if _, _, ok := c.Recall(fmt.Sprintf("https://client.example/%d", maxEntries+19)); !ok {
			t.Error("the newest is not kept")
		}
	})
}

func TestC10Restraint(t *testing.T) {
	t.Run("C10 no cookies, credentials or proxy", func(t *testing.T) {
		t.Setenv("HTTPS_PROXY", "http://user:secret@127.0.0.1:1")
		srv := shimtest.NewDocuments(t)
		c := guarded(srv, newNameServer(t, nil))
		if c.http().Transport.(*http.Transport).Proxy != nil || c.http().Jar != nil {
			t.Error("the program's own transport has a proxy or keeps cookies")
		}
		c, _ = newClients(srv)
		srv.Publish(document(nil), "Set-Cookie", "a=b; Path=/", "Cache-Control", "no-store")
		for range 2 {
			if _, err := c.Fetch(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range srv.Requests() {
			if r.Method != "GET" || r.Header.Get("Accept") != "application/json" || r.Host != "client.example" || r.ContentLength > 0 {
				t.Errorf("got %s %s with %v", r.Method, r.Host, r.Header)
			}
			for name := range r.Header {
				switch name {
				case "Accept", "User-Agent", "Accept-Encoding":
				default:
					t.Errorf("a fetch carries %s", name)
				}
			}
		}
	})
	t.Run("C10 ten a minute", func(t *testing.T) {
		srv := shimtest.NewDocuments(t)
		c, k := newClients(srv)
		fetch := func(i int) error {
			one := fmt.Sprintf("https://client.example/%d", i)
			srv.Publish(document(map[string]any{"client_id": one}))
			_, err := c.Fetch(t.Context(), one)
			return err
		}
		for i := range perMinute {
			if err := fetch(i); err != nil {
				t.Fatal(err)
			}
		}
		if err := fetch(perMinute); !errors.Is(err, errBusy) {
			t.Errorf("got %v, want %v", err, errBusy)
		}
		if err := fetch(0); err != nil {
			t.Errorf("one that is at hand: got %v, want none", err)
		}
		k.forward(time.Minute)
		if err := fetch(perMinute + 1); err != nil {
			t.Errorf("a minute later: got %v, want none", err)
		}
		if n := srv.Fetches(); n != perMinute+1 {
			t.Errorf("%d fetches, want %d", n, perMinute+1)
		}
	})
	t.Run("C10 two at a time", func(t *testing.T) {
		srv := shimtest.NewDocuments(t)
		c, _ := newClients(srv)
		var begun, now, most atomic.Int64
		var wg sync.WaitGroup
		for i := range 6 {
			one := fmt.Sprintf("https://client.example/%d", i)
			srv.Publish(document(map[string]any{"client_id": one}))
			published := srv.Handler(one)
			srv.Handle(one, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n := begun.Add(1)
				most.Store(max(most.Load(), now.Add(1)))
				for end := time.Now().Add(testenv.Patience); begun.Load() < n+n%2 && time.Now().Before(end); {
					time.Sleep(time.Millisecond) // until the other of the two is here
				}
				time.Sleep(20 * time.Millisecond) // a third has time to come, and must not
				now.Add(-1)
				published.ServeHTTP(w, r)
			}))
			wg.Go(func() {
				if _, err := c.Fetch(t.Context(), one); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := most.Load(); n != concurrent {
			t.Errorf("%d at a time, want %d", n, concurrent)
		}
	})
}

// TestC09NothingIsFetchedForABadURL: a URL that breaks the rules is never
// fetched.
func TestC09NothingIsFetchedForABadURL(t *testing.T) {
	srv := shimtest.NewDocuments(t)
	c, _ := newClients(srv)
	for _, bad := range []string{"http://client.example/c", "https://client.example/", "https://client.example/a/../c", "https://client.example/%2e%2e/c", "https://u@client.example/c", "https://client.example/c#x", "https://127.0.0.1/c"} {
		if cl, err := c.Fetch(t.Context(), bad); err == nil {
			t.Errorf("Fetch(%q): got %+v, want an error", bad, cl)
		}
	}
	if n := srv.Fetches(); n != 0 {
		t.Errorf("%d requests arrived, want 0", n)
	}
}
