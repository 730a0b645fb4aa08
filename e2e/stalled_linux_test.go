package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

const (
	stalledRequests = 2100 // more than a public side has room for
	stalledApps     = 10   // signed in, and busy all the time
	// stalledMemory is what the program may take in addition while they are held:
	// heads of 31 kB each, or answers of that size, which grow in steps, and Go
	// lets the heap grow to twice what is in use.
	stalledMemory = 2 * stalledRequests * 64 << 10
	// stalledRest of it may stay a minute after they are gone.
	stalledRest = 15 << 20
)

// A stall is a way to hold a request without end.
type stall struct{ name, sent string }

// stalls are the requests of strangers to a public side with this host. waits
// is the path of a page that waits for the owner, and a header after it, and
// unread the number of answers that are not read.
func stalls(host, waits string, unread int) []stall {
	const form = "Content-Type: application/x-www-form-urlencoded\r\n"
	head := func(method, path string) string {
		path, more, _ := strings.Cut(path, "\r\n")
		if more != "" {
			more += "\r\n"
		}
		return method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + more
	}
	return []stall{
		{"head", head("GET", "/authorize") + "X-Long: " + strings.Repeat("x", 31<<10)},
		{"body", head("POST", "/token") + form + "Content-Length: 1000\r\n\r\n"},
		{"chunks", head("POST", "/register") + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{\"client_name\":\"\r\n"},
		{"wait pages", head("GET", waits) + "Content-Length: 1000\r\n\r\n"},
		{"unread answers", strings.Repeat(head("GET", waits)+"\r\n", unread)},
	}
}

// behind are those that something that stands in front of the public side
// passes on. It keeps answers that are not read, so that more of them would be a
// flood and nothing that stalls.
func behind(host, waits string) []stall {
	all := stalls(host, waits, 3)
	return []stall{all[1], all[4]}
}

// hold opens connections, some at a time, that send what s says, and keeps them. Those that the
// program closes stay closed. The function that it returns lets go.
func (s stall) hold(t *testing.T, dialers int, dial func() (net.Conn, error)) (letGo func()) {
	t.Helper()
	var (
		mu    sync.Mutex
		conns []net.Conn
		todo  atomic.Int64
		group sync.WaitGroup
	)
	for range dialers {
		group.Go(func() {
			for todo.Add(1) <= stalledRequests {
				c, err := dial()
				if err != nil {
					t.Error(err)
					return
				}
				if tcp, ok := c.(*net.TCPConn); ok {
					tcp.SetReadBuffer(4 << 10)
				}
				// The answers are not read, so a write may not end either.
				c.SetWriteDeadline(time.Now().Add(2 * time.Second))
				io.WriteString(c, s.sent)
				mu.Lock()
				conns = append(conns, c)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return func() {
		for _, c := range conns {
			c.Close()
		}
	}
}

// callWhile has every user call over and over until the end of during. No call
// may fail.
func callWhile(t *testing.T, users []*user, during func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var calls atomic.Int64
	var apps sync.WaitGroup
	defer func() { stop(); apps.Wait() }()
	for i, u := range users {
		apps.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				want := fmt.Sprintf("app %d, call %d", i, n)
				r, err := callTool(u.http, u.Resource, u.Access, "echo", map[string]string{"text": want})
				if err != nil || !r.says(want) {
					t.Errorf("%s = %d %s, %v", want, r.Status, r.Body, err)
					return
				}
				calls.Add(1)
			}
		})
	}
	during()
	// Each app has to be answered while all are held.
	for _, u := range users {
		u.http.CloseIdleConnections()
	}
	before := calls.Load()
	eventually(t, patience, "the apps call on", func() bool { return calls.Load() > before+10*stalledApps || t.Failed() })
	t.Logf("%d calls", calls.Load())
}

// comesBack waits until the program has given back the memory.
func comesBack(t *testing.T, a *app, before footprint) {
	t.Helper()
	start := time.Now()
	eventually(t, 2*patience, "the program gives memory back", func() bool { return memory(t, a).now < before.now+stalledRest })
	now := memory(t, a)
	t.Logf("resident: %d kB before, %d at most, %d after %v", before.now>>10, now.peak>>10, now.now>>10, time.Since(start).Round(time.Second))
	if now.peak > before.peak+stalledMemory {
		t.Errorf("the program took %d kB, at most %d are fine", now.peak>>10, (before.peak+stalledMemory)>>10)
	}
}

// withApps signs apps in, which call through the world of a.
func withApps(t *testing.T, a *app) []*user {
	t.Helper()
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	e := a.addEndpoint("Linear", up.URL, up.Key())
	users := make([]*user, stalledApps)
	for i := range users {
		users[i] = signedIn(t, a, a.url(e), up.Key())
	}
	return users
}

// waitPage begins a sign-in, has the owner asked, and returns the path of the
// page that waits, and after a line break the cookie that its browser sends.
func waitPage(t *testing.T, a *app, u *user) string {
	t.Helper()
	b := a.farBrowser()
	p := b.Open(u.AuthorizeURL())
	if len(p.Forms) != 1 {
		t.Fatalf("/authorize answers %d with %d forms", p.Status, len(p.Forms))
	}
	p = b.Submit(p.Forms[0], nil)
	at := p.URL
	if p.Status != http.StatusOK || !strings.HasPrefix(at.Path, "/authorize/") {
		t.Fatalf("the page that waits is %q (%d)", p.URL, p.Status)
	}
	cookie := ""
	for _, c := range b.HTTP.Jar.Cookies(at) {
		cookie += "\r\nCookie: " + c.Name + "=" + c.Value
	}
	return at.Path + cookie
}

// Strangers hold more requests than there is room for. Apps that are signed in
// must not notice, and the memory must come back. At night it is waited for
// after each form, else once.
func TestStalledRequests(t *testing.T) {
	testenv.Slow(t)
	needFiles(t, 8*stalledRequests)
	eachTime := os.Getenv("KEY2OAUTH_TEST_NIGHTLY") != ""
	run := func(t *testing.T, a *app, users []*user, dialers int, dial func() (net.Conn, error), forms []stall) {
		before := memory(t, a)
		for _, s := range forms {
			t.Run(s.name, func(t *testing.T) {
				var letGo func()
				callWhile(t, users, func() { letGo = s.hold(t, dialers, dial) })
				letGo()
				if eachTime {
					comesBack(t, a, before)
				}
			})
		}
		comesBack(t, a, before)
	}
	t.Run("direct and behind a reverse proxy", func(t *testing.T) {
		o := newOwnTunnel(t)
		a := o.start(t)
		o.waitListening(t, a)
		users := withApps(t, a)
		waits := waitPage(t, a, users[0])
		forms := stalls("example.com", waits, 50) // more than the network keeps
		run(t, a, users, 8, func() (net.Conn, error) { return net.Dial("tcp", o.addr) }, forms)
		encrypted := &tls.Config{RootCAs: o.client(false).Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"}
		run(t, a, users, 8, func() (net.Conn, error) { return tls.Dial("tcp", o.at, encrypted) }, behind("example.com", waits))
	})
	t.Run("through ngrok", func(t *testing.T) {
		a := startTunneled(t)
		users := withApps(t, a)
		forms := behind(tunneltest.DefaultDomain, waitPage(t, a, users[0]))
		encrypted := &tls.Config{RootCAs: a.world.CA(), ServerName: tunneltest.DefaultDomain}
		// The SDK refuses streams while 128 of them wait for it, so more dialers at a
		// time would show on a slow machine how fast it takes them.
		run(t, a, users, 1, func() (net.Conn, error) { return tls.Dial("tcp", a.world.Addr(), encrypted) }, forms)
	})
}
