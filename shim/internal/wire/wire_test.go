package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// http.Transport, which Transport is compared with, logs what peers send before
// they are asked.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

// A peer is a server that answers with bytes as they are.
type peer struct {
	net.Listener
	conns atomic.Int64
}

// newPeer serves each connection with f.
func newPeer(t *testing.T, f func(c net.Conn, in *bufio.Reader)) *peer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{Listener: ln}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.conns.Add(1)
			all.Go(func() {
				defer c.Close()
				f(c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() { ln.Close(); all.Wait() })
	return p
}

// answering answers every request with the same bytes.
func answering(answer string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, in *bufio.Reader) {
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			io.Copy(io.Discard, r.Body)
			if _, err := io.WriteString(c, answer); err != nil {
				return
			}
		}
	}
}

func newTransport(t *testing.T) *Transport {
	if !canProbe {
		testenv.Skip(t, "cannot tell whether a connection is open")
	}
	tr := &Transport{DialContext: new(net.Dialer).DialContext, MaxHeader: 64 << 10, MaxIdlePerHost: 4, IdleTimeout: time.Minute}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func request(ctx context.Context, t *testing.T, addr, method, body string) *http.Request {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+"/mcp", r)
	if err != nil {
		t.Fatal(err)
	}
	if !Fits(req) {
		t.Fatalf("%s with %d bytes does not fit", method, len(body))
	}
	return req
}

// TestAnswers compares answers of every kind with what http.Transport makes of
// them, and checks whether the connection may be used again.
func TestAnswers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	tests := []struct {
		name, method, answer string
		again                bool // the connection is
	}{
		{"length", "POST", ok + "Content-Length: 5\r\n\r\nhello", true},
		{"chunks", "POST", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", true},
		{"chunks with a trailer", "POST", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-A: b\r\n\r\n", true},
		{"nothing", "POST", ok + "Content-Length: 0\r\n\r\n", true},
		{"204", "POST", "HTTP/1.1 204 No Content\r\n\r\n", true},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", true},
		{"head", "HEAD", ok + "Content-Length: 5\r\n\r\n", true},
		{"close", "POST", ok + "Connection: close\r\nContent-Length: 5\r\n\r\nhello", false},
		{"1.0", "POST", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false},
		{"early hints", "POST", "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + ok + "Content-Length: 5\r\n\r\nhello", true},
		{"switching", "GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", false},

		// Could be mistaken for the answer to another request.
		{"a second answer", "POST", ok + "Content-Length: 5\r\n\r\nhello" + ok + "Content-Length: 3\r\n\r\nbad", false},
		{"more than its length", "POST", ok + "Content-Length: 5\r\n\r\nhello!", false},
		{"more after chunks", "POST", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nX", false},
		{"a body after head", "HEAD", ok + "Content-Length: 5\r\n\r\nhello", false},
		{"a body after 204", "POST", "HTTP/1.1 204 No Content\r\n\r\nhello", false},
		{"length and chunks", "POST", ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", true},

		// Not an answer.
		{"two lengths", "POST", ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", false},
		{"bad chunk", "POST", ok + "Transfer-Encoding: chunked\r\n\r\nz\r\nhello\r\n0\r\n\r\n", false},
		{"other coding", "POST", ok + "Transfer-Encoding: gzip\r\n\r\nhello", false},
		{"bare LF and no colon", "POST", ok + "nonsense\n\nhello", false},
		{"long head", "POST", ok + "X-Long: " + strings.Repeat("x", 70<<10) + "\r\nContent-Length: 0\r\n\r\n", false},
		{"two lengths that agree", "POST", ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", true},
		{"lengths in a list", "POST", ok + "Content-Length: 5, 6\r\n\r\nhello", false},
		{"a signed length", "POST", ok + "Content-Length: +5\r\n\r\nhello", false},
		{"a negative length", "POST", ok + "Content-Length: -5\r\n\r\nhello", false},
		{"a folded length", "POST", ok + "Content-Length: 5\r\n 6\r\n\r\nhello", false},
		{"a folded value", "POST", ok + "X-A: b\r\n c\r\nContent-Length: 5\r\n\r\nhello", true},
		{"a space before the colon", "POST", ok + "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\nhello", true}, // a header without meaning, which is not passed on
		{"chunked twice", "POST", ok + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", false},
		{"chunked in two lines", "POST", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false},
		{"a bare LF at each end", "POST", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", true},
		{"a bare CR in a value", "POST", ok + "X-A: b\rContent-Length: 9\r\nContent-Length: 5\r\n\r\nhello", false},
		{"NUL in a value", "POST", ok + "X-A: b\x00\r\nContent-Length: 5\r\n\r\nhello", false},
		{"a blank line first", "POST", "\r\n" + ok + "Content-Length: 5\r\n\r\nhello", false},
		{"an extension of a chunk", "POST", ok + "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n", true},
		{"a chunk that is longer than it says", "POST", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n", false},
		{"a huge chunk", "POST", ok + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n", false},
		{"a length that 204 has not", "POST", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", true},
		{"a body after a hint", "POST", "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello" + ok + "Content-Length: 5\r\n\r\nhello", false},
		{"1.0 that would go on", "POST", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", true},
		{"close among others", "POST", ok + "Connection: x, Close\r\nContent-Length: 5\r\n\r\nhello", false},
		{"hints for ever", "POST", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 9<<10), false},
	}
	// Cut off: the peer ends the connection after it.
	ends := []string{
		"", "H", "HTTP/1.1 200 OK\r\n", ok + "Content-Length: 5\r\n\r\nhell", ok + "Content-Length: 5\r\n\r\n",
		ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
		ok + "\r\nup to the end", "HTTP/1.1 100 Continue\r\n\r\n",
	}
	for _, answer := range ends {
		tests = append(tests, struct {
			name, method, answer string
			again                bool
		}{fmt.Sprintf("ends after %q", answer), "POST", answer, false})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			serve := answering(tt.answer)
			if strings.HasPrefix(tt.name, "ends after") {
				serve = func(c net.Conn, in *bufio.Reader) {
					if r, err := http.ReadRequest(in); err == nil {
						io.Copy(io.Discard, r.Body)
						io.WriteString(c, tt.answer)
					}
				}
			}
			p := newPeer(t, serve)
			std := &http.Transport{MaxResponseHeaderBytes: 64 << 10}
			defer std.CloseIdleConnections()
			body := ""
			if tt.method == "POST" {
				body = "{}"
			}
			want := told(std.RoundTrip(request(t.Context(), t, p.Addr().String(), tt.method, body)))
			p.conns.Store(0)

			tr := newTransport(t)
			for range 2 {
				got := told(tr.RoundTrip(request(t.Context(), t, p.Addr().String(), tt.method, body)))
				if got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
			if again := p.conns.Load() == 1; again != tt.again {
				t.Errorf("the connection was used again: %v, want %v", again, tt.again)
			}
		})
	}
}

// told is what can be seen of an answer. For an error it only says that there
// is one.
func told(res *http.Response, err error) string {
	if err != nil {
		return "no answer"
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols {
		return "101" // its body is the connection
	}
	body, err := io.ReadAll(res.Body)
	names := []string{}
	for name, v := range res.Header {
		names = append(names, fmt.Sprint(name, v))
	}
	slices.Sort(names)
	return fmt.Sprintf("%d %v %d %q %v", res.StatusCode, names, res.ContentLength, body, err != nil)
}

// A request that may have arrived is repeated only if doing it twice is
// harmless.
func TestRepeats(t *testing.T) {
	for _, tt := range []struct {
		method string
		want   int64 // requests that arrive
	}{{"GET", 3}, {"POST", 2}, {"DELETE", 2}} {
		t.Run(tt.method, func(t *testing.T) {
			var arrived atomic.Int64
			p := newPeer(t, func(c net.Conn, in *bufio.Reader) {
				for i := 0; ; i++ {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					io.Copy(io.Discard, r.Body)
					if n := arrived.Add(1); n == 2 {
						return // the second request of the first connection
					}
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
				}
			})
			tr := newTransport(t)
			body := ""
			if tt.method == "POST" {
				body = "{}"
			}
			told(tr.RoundTrip(request(t.Context(), t, p.Addr().String(), tt.method, body)))
			got := told(tr.RoundTrip(request(t.Context(), t, p.Addr().String(), tt.method, body)))
			if n := arrived.Load(); n != tt.want {
				t.Errorf("%d requests arrived, want %d; the last came to %s", n, tt.want, got)
			}
			if failed := got == "no answer"; failed != (tt.want == 2) {
				t.Errorf("got %s", got)
			}
		})
	}
}

// A flakyConn fails its nth write before any byte is sent, as if the peer had
// just closed the connection.
type flakyConn struct {
	*net.TCPConn
	writes, fails int
}

func (c *flakyConn) Write(p []byte) (int, error) {
	if c.writes++; c.writes == c.fails {
		return 0, syscall.EPIPE
	}
	return c.TCPConn.Write(p)
}

// Any request is sent again on another connection if nothing of it was sent.
// After a new connection it is not, since the next one would be no better.
func TestNeverSent(t *testing.T) {
	for _, tt := range []struct {
		method string
		fails  int // which write on the first connection fails
		want   string
	}{
		{"POST", 2, "{}{}"}, {"DELETE", 2, "{}{}"}, {"GET", 2, "{}{}"}, {"POST", 1, "no answer"},
	} {
		t.Run(fmt.Sprint(tt.method, tt.fails), func(t *testing.T) {
			var arrived atomic.Int64
			p := newPeer(t, func(c net.Conn, in *bufio.Reader) {
				for {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					io.Copy(io.Discard, r.Body)
					arrived.Add(1)
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
				}
			})
			tr := newTransport(t)
			fails := tt.fails
			tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				f := &flakyConn{TCPConn: c.(*net.TCPConn), fails: fails}
				fails = 0
				return f, nil
			}
			body := ""
			if tt.method == "POST" {
				body = "{}"
			}
			got := ""
			for range 2 {
				res, err := tr.RoundTrip(request(t.Context(), t, p.Addr().String(), tt.method, body))
				if err != nil {
					got = "no answer"
					break
				}
				b, _ := io.ReadAll(res.Body)
				got += string(b)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if n := arrived.Load(); n != int64(strings.Count(tt.want, "{}")) {
				t.Errorf("%d requests arrived for %q", n, tt.want)
			}
		})
	}
}

// A body that differs from its declared length fails the request, and its
// connection is not used again.
func TestBodyLength(t *testing.T) {
	for _, tt := range []struct{ body, words string }{{"{", "ended after 1 of 2"}, {"{}x", "longer than its 2"}} {
		arrived := make(chan string, 1)
		p := newPeer(t, func(_ net.Conn, in *bufio.Reader) {
			b, _ := io.ReadAll(in)
			arrived <- string(b)
		})
		tr := newTransport(t)
		req := request(t.Context(), t, p.Addr().String(), "POST", "{}")
		req.Body = io.NopCloser(strings.NewReader(tt.body))
		res, err := tr.RoundTrip(req)
		if err == nil || !strings.Contains(err.Error(), tt.words) {
			t.Errorf("%q of 2 bytes: got %v, %v, want %q", tt.body, res, err, tt.words)
		}
		if got := <-arrived; got != "" {
			t.Errorf("%q of 2 bytes: %q arrived", tt.body, got)
		}
	}
}

// If a body is closed before its end, its connection is closed too: the unread
// rest would look like the beginning of the next answer.
func TestPartialBody(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", // nothing of it has come yet
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 48\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil.......",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + strings.Repeat("x", 9000),
	} {
		for _, read := range []int{0, 1, 4} {
			if read > 0 && strings.HasSuffix(answer, "\r\n\r\n") && !strings.Contains(answer, "hello") {
				continue
			}
			p := newPeer(t, answering(answer))
			tr := newTransport(t)
			for range 3 {
				res, err := tr.RoundTrip(request(t.Context(), t, p.Addr().String(), "GET", ""))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(res.Body, make([]byte, read)); err != nil || res.StatusCode != 200 {
					t.Errorf("got %d, %v", res.StatusCode, err)
				}
				res.Body.Close()
				if n, err := res.Body.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
					t.Errorf("reading after Close: %d, %v", n, err)
				}
			}
			if n := p.conns.Load(); n != 3 {
				t.Errorf("%.60q, of which %d bytes were read: %d connections for 3 requests", answer, read, n)
			}
		}
	}
}

// At every stage, the context can end an exchange, and its connection is not
// used again.
func TestCancel(t *testing.T) {
	stuck := make(chan struct{}, 2)
	p := newPeer(t, func(c net.Conn, in *bufio.Reader) {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if r.Header.Get("Stage") == "body" {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
		}
		stuck <- struct{}{}
		in.ReadByte() // until we close
	})
	cause := errors.New("enough")
	for _, stage := range []string{"head", "body"} {
		t.Run(stage, func(t *testing.T) {
			tr := newTransport(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			req := request(ctx, t, p.Addr().String(), "GET", "")
			req.Header.Set("Stage", stage)
			go func() { <-stuck; cancel(cause) }()
			res, err := tr.RoundTrip(req)
			if err == nil {
				_, err = io.ReadAll(res.Body)
				res.Body.Close()
			}
			if !errors.Is(err, cause) {
				t.Errorf("got %v, want %v", err, cause)
			}
			if len(tr.pool.hosts) != 0 {
				t.Error("the connection waits for another request")
			}
		})
	}
}

func TestIdleTimeout(t *testing.T) {
	p := newPeer(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
	tr := newTransport(t)
	tr.IdleTimeout = 20 * time.Millisecond
	told(tr.RoundTrip(request(t.Context(), t, p.Addr().String(), "GET", "")))
	for deadline := time.Now().Add(testenv.Patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		tr.pool.mu.Lock()
		over := len(tr.pool.hosts) == 0 && tr.pool.sweep == nil
		tr.pool.mu.Unlock()
		if over {
			return
		}
	}
	t.Error("the connection, or the timer that would close it, is still there")
}

func TestFits(t *testing.T) {
	tests := []struct {
		name   string
		change func(*http.Request)
		want   bool
	}{
		{"post", func(*http.Request) {}, true},
		{"other method", func(r *http.Request) { r.Method = "PATCH" }, false},
		{"method with a line break", func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\nX: y\r\n\r\nGET" }, false},
		{"https", func(r *http.Request) { r.URL.Scheme = "https" }, false},
		{"unknown length", func(r *http.Request) { r.ContentLength = -1 }, false},
		{"long", func(r *http.Request) { r.ContentLength = maxBody + 1 }, false},
		{"length without a body", func(r *http.Request) { r.Body = nil }, false},
		{"coding", func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }, false},
		{"trailer", func(r *http.Request) { r.Trailer = http.Header{"A": nil} }, false},
		{"name with a line break", func(r *http.Request) { r.Header["A\r\nB"] = []string{"x"} }, false},
		{"name with a space", func(r *http.Request) { r.Header["A "] = []string{"x"} }, false},
		{"no name", func(r *http.Request) { r.Header[""] = []string{"x"} }, false},
		{"value with a line break", func(r *http.Request) { r.Header["A"] = []string{"x\r\nB: y"} }, false},
		{"value with NUL", func(r *http.Request) { r.Header["A"] = []string{"x\x00"} }, false},
		{"length in the header", func(r *http.Request) { r.Header["content-length"] = []string{"9"} }, false},
		{"coding in the header", func(r *http.Request) { r.Header["TRANSFER-ENCODING"] = []string{"chunked"} }, false},
		{"host in the header", func(r *http.Request) { r.Header["Host"] = []string{"b"} }, false},
		{"query with a line break", func(r *http.Request) { r.URL.RawQuery = "a\r\nB: c" }, false},
		{"value with a bare CR", func(r *http.Request) { r.Header["A"] = []string{"x\rB: y"} }, false},
		{"value with a bare LF", func(r *http.Request) { r.Header["A"] = []string{"x\nB: y"} }, false},
		{"second value with a line break", func(r *http.Request) { r.Header["A"] = []string{"x", "x\r\nB: y"} }, false},
		{"folded value", func(r *http.Request) { r.Header["A"] = []string{"x\r\n y"} }, false},
		{"name with a colon", func(r *http.Request) { r.Header["A: b"] = []string{"x"} }, false},
		{"expect", func(r *http.Request) { r.Header["Expect"] = []string{"100-continue"} }, false},
		{"close", func(r *http.Request) { r.Close = true }, false},
		{"close in the header", func(r *http.Request) { r.Header["Connection"] = []string{"close"} }, false},
		{"upgrade", func(r *http.Request) { r.Header["Upgrade"] = []string{"h2c"} }, false},
		{"host with a zone", func(r *http.Request) { r.URL.Host = "[fe80::1%25eth0]:80" }, false},
		{"host with a user", func(r *http.Request) { r.URL.Host = "a@b" }, false},
		{"host with a space", func(r *http.Request) { r.URL.Host = "a b" }, false},
		{"host in another script", func(r *http.Request) { r.URL.Host = "b\u00fccher.example" }, false},
		{"no host", func(r *http.Request) { r.URL.Host, r.Host = "", "" }, false},
		{"address", func(r *http.Request) { r.URL.Host = "[::1]:8080" }, true},
		{"host with a line break", func(r *http.Request) { r.Host = "a\r\nB: c" }, false},
		{"opaque", func(r *http.Request) { r.URL.Opaque = "//x y" }, false},
		{"path with a line break", func(r *http.Request) { r.URL.Path = "/a\r\nB: c" }, true}, // it is escaped
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequest("POST", "http://127.0.0.1/mcp", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			tt.change(r)
			if got := Fits(r); got != (tt.want && canProbe) {
				t.Errorf("Fits = %v, want %v", got, tt.want)
			}
		})
	}
}

// FuzzWriteRequest: net/http reads a written request as exactly that request,
// with nothing after it.
func FuzzWriteRequest(f *testing.F) {
	f.Add("POST", "/mcp", "a=b", "h:80", "X-A", "b", "{}")
	f.Add("GET", "/a b\r\n", "", "h", "Mcp-Param-A", "=?base64?eA==?=", "")
	f.Add("POST", "//x", "q\r\nA: b", "h\r\nA: b", "content-length", "3", "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	f.Add("DELETE", "*", "", "h", "A\tB", " x\t", "")
	f.Fuzz(func(t *testing.T, method, path, query, host, name, value, body string) {
		req := &http.Request{Method: method, URL: &url.URL{Scheme: "http", Host: host, Path: path, RawQuery: query},
			Header: http.Header{name: {value}}, ContentLength: int64(len(body))}
		if body != "" {
			req.Body = io.NopCloser(strings.NewReader(body))
		}
		if !Fits(req) {
			return
		}
		var out bytes.Buffer
		if err := writeRequest(bufio.NewWriter(&out), req); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(&out)
		got, err := http.ReadRequest(in)
		if err != nil {
			return // net/http refuses some hosts and paths that a URL may contain
		}
		gotBody, err := io.ReadAll(got.Body)
		if err != nil || string(gotBody) != body {
			t.Errorf("got body %q, %v, want %q", gotBody, err, body)
		}
		if got.Method != method || got.RequestURI != req.URL.RequestURI() || len(got.TransferEncoding) > 0 {
			t.Errorf("got %s %q %q, want %s %q", got.Method, got.RequestURI, got.TransferEncoding, method, req.URL.RequestURI())
		}
		delete(got.Header, "Content-Length")
		want := []string{strings.Trim(value, " \t")}
		if v := got.Header[http.CanonicalHeaderKey(name)]; !slices.Equal(v, want) && !(name == "User-Agent" && value == "") {
			t.Errorf("got %s: %q, want %q", name, v, want)
		}
		if len(got.Header) > 1 {
			t.Errorf("got headers %q of one", got.Header)
		}
		if rest, _ := io.ReadAll(in); len(rest) > 0 {
			t.Errorf("%q follows the request", rest)
		}
	})
}

// BenchmarkRoundTrip measures a small call over loopback, next to
// http.Transport.
func BenchmarkRoundTrip(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				answering("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")(c, bufio.NewReader(c))
				c.Close()
			}()
		}
	}()
	ours := &Transport{DialContext: new(net.Dialer).DialContext, MaxHeader: 64 << 10, MaxIdlePerHost: 4, IdleTimeout: time.Minute}
	defer ours.CloseIdleConnections()
	std := &http.Transport{MaxIdleConnsPerHost: 4, DisableCompression: true}
	defer std.CloseIdleConnections()
	for _, tt := range []struct {
		name string
		http.RoundTripper
	}{{"wire", ours}, {"http.Transport", std}} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				req, err := http.NewRequestWithContext(b.Context(), "POST", "http://"+ln.Addr().String()+"/mcp", strings.NewReader("{}"))
				if err != nil {
					b.Fatal(err)
				}
				res, err := tt.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		})
	}
}

func TestKeep(t *testing.T) {
	const most = 90 * time.Second
	for _, tt := range []struct {
		values []string
		want   time.Duration
	}{
		{nil, unhinted},
		{[]string{"timeout=5"}, 4 * time.Second},
		{[]string{"timeout=5, max=100"}, 4 * time.Second},
		{[]string{"max=100, Timeout = 5"}, 4 * time.Second},
		{[]string{`timeout="5"`}, 4 * time.Second},
		{[]string{"timeout=1"}, 0},
		{[]string{"timeout=0"}, 0},
		{[]string{"timeout=75"}, 74 * time.Second},
		{[]string{"timeout=3600"}, most},
		{[]string{"timeout=18446744073709551615"}, most},
		{[]string{"timeout=60", "timeout=3"}, 2 * time.Second},
		{[]string{"timeout=60, timeout=3"}, 2 * time.Second},
		{[]string{"timeout=soon"}, unhinted},
		{[]string{"timeout=-5"}, unhinted},
		{[]string{"timeout=99999999999999999999"}, unhinted},
		{[]string{"max=100"}, unhinted},
		{[]string{""}, unhinted},
	} {
		h := http.Header{}
		if tt.values != nil {
			h["Keep-Alive"] = tt.values
		}
		if got := Keep(h, most); got != tt.want {
			t.Errorf("Keep(%q) = %v, want %v", tt.values, got, tt.want)
		}
	}
}

// A peer that says how long it keeps connections is not met while it ends one.
func TestAnnouncedTimeout(t *testing.T) {
	for _, tt := range []struct {
		announced string
		conns     int64 // for two requests at once after another
	}{{"", 1}, {"timeout=1", 2}, {"timeout=5", 1}} {
		p := newPeer(t, answering("HTTP/1.1 200 OK\r\nKeep-Alive: "+tt.announced+"\r\nContent-Length: 2\r\n\r\n{}"))
		tr := newTransport(t)
		for range 2 {
			told(tr.RoundTrip(request(t.Context(), t, p.Addr().String(), "POST", "{}")))
		}
		if n := p.conns.Load(); n != tt.conns {
			t.Errorf("after %q there were %d connections for two requests, want %d", tt.announced, n, tt.conns)
		}
	}
}

// FuzzKeep: a peer may announce anything; a connection is idle for no longer than
// we want, and for less time than any timeout that it announces.
func FuzzKeep(f *testing.F) {
	f.Add("timeout=5, max=100", "")
	f.Add("timeout=1", "TIMEOUT = 3")
	f.Fuzz(func(t *testing.T, a, b string) {
		const most = time.Minute
		got := Keep(http.Header{"Keep-Alive": {a, b}}, most)
		if got < 0 || got > most {
			t.Errorf("Keep(%q, %q) = %v", a, b, got)
		}
		if alone, ok := timeout([]string{b}); ok && got > max(0, alone-early) {
			t.Errorf("Keep(%q, %q) = %v, but the second says %v", a, b, got, alone)
		}
	})
}
