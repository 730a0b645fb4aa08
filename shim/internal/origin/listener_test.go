package origin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const goodToken = "k2o_at_good"

// front serves a public side in which a request with goodToken is trusted, as
// Authenticate does it, and any other is answered with 401 at once.
func front(t testing.TB, ln net.Listener) *Listener {
	l := NewListener(ln, func(int) {}, func(token string) bool { return token == goodToken })
	srv := &http.Server{
		ReadHeaderTimeout: time.Minute, // longer than the listener's own bound
		MaxHeaderBytes:    256 << 10,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			distrust(w, r)
			if r.Header.Get("Authorization") != "Bearer "+goodToken {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			Trust(w, r)
			io.Copy(w, r.Body)
		}),
	}
	l.Watch(srv)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { srv.Serve(l) })
	running.Go(func() { l.Sweep(ctx) })
	t.Cleanup(func() { cancel(); srv.Close(); running.Wait() })
	return l
}

func listen(t testing.TB) net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// The ways in which a stranger's request never ends.
var stalls = []struct{ name, sent string }{
	{"nothing is sent", ""},
	{"the head does not end", "GET /token HTTP/1.1\r\nHost: a\r\nX-Long: " + strings.Repeat("x", 2000)},
	{"the body is missing", "POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"},
	{"the chunks do not end", "POST /token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
	{"answers are not read", strings.Repeat("GET /authorize HTTP/1.1\r\nHost: a\r\n\r\n", 20)},
	{"a token that is not valid, and no body", "POST /aaaaaaaaaaaa/mcp HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k2o_at_bad\r\nContent-Length: 1000\r\n\r\n"},
}

// A sender that holds more connections than there is room for takes the room
// only from others who do the same: apps with a token notice nothing.
func TestStrangersTakeNoRoomFromApps(t *testing.T) {
	for _, tt := range stalls {
		t.Run(tt.name, func(t *testing.T) {
			l := front(t, listen(t))
			at := "http://" + l.Addr().String() + "/"
			apps := make([]*http.Client, 10)
			for i := range apps {
				apps[i] = &http.Client{Transport: &http.Transport{}}
				defer apps[i].CloseIdleConnections()
			}
			all := func(when string) {
				t.Helper()
				for i, app := range apps {
					if err := call(app, at); err != nil {
						t.Fatalf("%s: app %d: %v", when, i, err)
					}
				}
			}
			all("before")
			for i := range maxConns + 52 {
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				io.WriteString(c, tt.sent) // it may be closed already
				if i%100 == 0 {
					all(fmt.Sprintf("with %d stalled", i))
				}
			}
			all("with all stalled")
			for _, app := range apps {
				app.CloseIdleConnections()
			}
			all("with new connections")
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.open > maxConns || l.unknown() > maxStrangers {
				t.Errorf("%d connections are open, %d of them strangers'", l.open, l.unknown())
			}
		})
	}
}

func call(app *http.Client, at string) error {
	req, err := http.NewRequest(http.MethodPost, at, strings.NewReader("hello"))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+goodToken)
	req.GetBody = nil // so that nothing is sent twice in silence
	res, err := app.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || string(b) != "hello") {
		err = fmt.Errorf("got %d %q", res.StatusCode, b)
	}
	return err
}

// A request without a token ends in time, however it stalls. One with a token
// may take as long as it likes.
func TestStalledRequestsEnd(t *testing.T) {
	const signedIn = "POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + goodToken + "\r\nContent-Length: 1000\r\n\r\nhello"
	tests := append(slices.Clone(stalls), struct{ name, sent string }{"signed in", signedIn})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ln := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
				front(t, ln)
				peer, ours := net.Pipe()
				ln.conns <- ours
				go io.WriteString(peer, tt.sent)
				synctest.Wait()
				gone := make(chan struct{})
				if tt.name != "answers are not read" {
					go func() { io.Copy(io.Discard, peer); close(gone) }()
				} else {
					go func() { time.Sleep(strangerTime + 2*sweepEvery); io.Copy(io.Discard, peer); close(gone) }()
				}
				time.Sleep(strangerTime + 3*sweepEvery)
				synctest.Wait()
				select {
				case <-gone:
					if tt.sent == signedIn {
						t.Error("a request with a valid token was cut")
					}
				default:
					if tt.sent != signedIn {
						t.Error("the connection is still open")
					}
				}
				peer.Close()
				synctest.Wait()
			})
		})
	}
}

// pipes is a listener of connections in memory.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Which connection goes when there is no room.
func TestWhichConnectionGoes(t *testing.T) {
	const stranger, arriving, idleStranger, idleApp, nextOfApp, app = "a stranger", "one that says nothing yet", "a stranger that was answered", "an app between calls", "the next request after an app's", "an app"
	tests := []struct {
		conns []string // in the order in which they were accepted
		goes  int      // -1 means the new one
	}{
		{[]string{stranger, stranger}, 0},
		{[]string{arriving, arriving}, 0},
		{[]string{arriving, stranger}, 1},
		{[]string{idleStranger, arriving}, 1},
		{[]string{idleStranger, stranger}, 1},
		{[]string{idleStranger, app, idleStranger}, 0},
		{[]string{idleApp, app, idleStranger}, 2},
		{[]string{app, idleApp, stranger}, 2},
		{[]string{app, nextOfApp, stranger}, 2},
		{[]string{app, idleApp, nextOfApp}, 2},
		{[]string{app, idleApp, idleApp}, 1},
		{[]string{app, app}, -1},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			l := NewListener(nil, nil, nil)
			var conns []*conn
			for range tt.conns {
				_, c := net.Pipe()
				n := &conn{Conn: c, l: l}
				if !l.admit(n) {
					t.Fatal("no room in an empty room")
				}
				conns = append(conns, n)
			}
			for i, n := range conns {
				if tt.conns[i] == app || tt.conns[i] == idleApp || tt.conns[i] == nextOfApp {
					n.trust()
				}
				switch tt.conns[i] {
				case stranger:
					n.arrived()
				case idleStranger, idleApp, nextOfApp:
					n.end()
				}
				if tt.conns[i] == nextOfApp {
					n.begin()
				}
			}
			l.open = maxConns
			_, c := net.Pipe()
			if l.admit(&conn{Conn: c, l: l}) {
				t.Errorf("%q: one went before its time", tt.conns)
			}
			time.Sleep(minStay)
			if ok := l.admit(&conn{Conn: c, l: l}); ok != (tt.goes >= 0) {
				t.Errorf("%q: a new one was let in: %v", tt.conns, ok)
			}
			for i, n := range conns {
				if n.gone != (i == tt.goes) {
					t.Errorf("%q: connection %d gone: %v", tt.conns, i, n.gone)
				}
			}
			synctest.Wait()
		})
	}
}

// A long head is read only with a valid token, wherever it stands.
func TestLongHead(t *testing.T) {
	l := front(t, listen(t))
	filler := strings.Repeat("Mcp-Param-A: "+strings.Repeat("x", 1000)+"\r\n", 60)
	auth := func(token string) string { return "authorization:\tBEARER " + token + "\r\n" }
	for _, tt := range []struct {
		name, head string
		want       int
	}{
		{"no token", filler, 431},
		{"a token that is not valid", auth("k2o_at_bad") + filler, 431},
		{"a token too late", filler + auth(goodToken), 431},
		{"a valid token first", "Authorization: Bearer " + goodToken + "\r\n" + filler, 200},
		{"a valid token in the middle", filler[:20*1015] + "Authorization: Bearer " + goodToken + "\r\n" + filler, 200},
		{"another header that ends like it", "X-Authorization: Bearer " + goodToken + "\r\n" + filler, 431},
		{"one line that does not end", "X: " + strings.Repeat("y", 60_000) + "\r\n", 431},
		{"too long for any", "Authorization: Bearer " + goodToken + "\r\n" + strings.Repeat(filler, 6), 431},
	} {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n"+tt.head+"\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if res.StatusCode != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, res.StatusCode, tt.want)
		}
	}
}

// FuzzHead: where the network cuts a head changes nothing.
func FuzzHead(f *testing.F) {
	for _, s := range []string{
		"", "Authorization: Bearer k2o_at_good\r\n", "\nauthorization:bearer  k2o_at_good \n", "Authorization: Basic eA==\r\nAuthorization: Bearer b\n",
		"A: Authorization: Bearer k2o_at_good\r\n", "Authorization:\r\n Bearer k2o_at_good\r\n", strings.Repeat("x", 600) + "\nAuthorization: Bearer b\n",
	} {
		f.Add([]byte(s), uint8(1))
		f.Add([]byte(s), uint8(7))
	}
	f.Fuzz(func(t *testing.T, head []byte, n uint8) {
		var whole, parts headReader
		never := func(string) bool { return false }
		whole.take(head, never)
		for part := range slices.Chunk(head, max(1, int(n))) {
			parts.take(part, never)
		}
		if whole.token != parts.token || whole.length != parts.length {
			t.Errorf("whole %q (%d), in parts %q (%d)", whole.token, whole.length, parts.token, parts.length)
		}
		if len(parts.partial) > maxLine {
			t.Errorf("%d bytes of a line are kept", len(parts.partial))
		}
		if parts.token != "" && !strings.Contains(string(head), parts.token) {
			t.Errorf("%q is not in the head", parts.token)
		}
	})
}
