//go:build unix

package wire

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// FuzzAnswer: for any bytes from a peer, the result is the same as from
// http.Transport, and the next request sees none of them. It uses the same
// connection only if the peer sent exactly one complete answer.
func FuzzAnswer(f *testing.F) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, answer := range []string{
		ok + "Content-Length: 2\r\n\r\n{}",
		ok + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		ok + "Content-Length: 2\r\n\r\n{}" + ok + "Content-Length: 4\r\n\r\nevil",
		ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + ok + "Content-Length: 4\r\n\r\nevil",
		ok + "Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}evil...",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 204 x\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n{}",
		ok + "X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
	} {
		f.Add("POST", answer)
		f.Add("GET", answer)
		f.Add("HEAD", answer)
	}
	f.Fuzz(func(t *testing.T, method, answer string) {
		if method != "POST" && method != "GET" && method != "HEAD" || len(answer) > 16<<10 {
			return
		}
		std := newFuzzPeer(t, method, answer)
		want, _ := std.two(&http.Transport{
			DialContext: std.dial, MaxResponseHeaderBytes: 64 << 10, DisableCompression: true,
		})
		own := newFuzzPeer(t, method, answer)
		got, next := own.two(&Transport{DialContext: own.dial, MaxHeader: 64 << 10, MaxIdlePerHost: 4, IdleTimeout: time.Minute})
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if !strings.Contains(next, `"next"`) {
			t.Errorf("the next request got %s", next)
		}
		if own.dialed == 1 && own.rest != 0 {
			t.Errorf("the connection was used again with %d unrequested bytes on it", own.rest)
		}
		if own.dialed > 2 {
			t.Errorf("two requests took %d connections", own.dialed)
		}
	})
}

// A fuzzPeer answers the first request with the given bytes, and every other
// request correctly.
type fuzzPeer struct {
	t              *testing.T
	method, answer string
	whole          bool // answer begins with a complete answer, so we don't wait for more bytes
	rest           int  // bytes after that
	dialed         int
	written        chan struct{}
}

func newFuzzPeer(t *testing.T, method, answer string) *fuzzPeer {
	p := &fuzzPeer{t: t, method: method, answer: answer, written: make(chan struct{})}
	all := strings.NewReader(answer)
	in := bufio.NewReader(all)
	for {
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return p
		}
		if res.StatusCode/100 == 1 && res.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		_, err = io.Copy(io.Discard, res.Body)
		p.whole = err == nil && !res.Close
		p.rest = all.Len() + in.Buffered()
		return p
	}
}

// dial is for one request after another.
func (p *fuzzPeer) dial(context.Context, string, string) (net.Conn, error) {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	var conns [2]net.Conn
	for i, fd := range ends {
		f := os.NewFile(uintptr(fd), "")
		conns[i], err = net.FileConn(f)
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	p.dialed++
	go p.serve(conns[1], p.dialed == 1)
	return conns[0], nil
}

func (p *fuzzPeer) serve(c net.Conn, first bool) {
	defer c.Close()
	for in := bufio.NewReader(c); ; first = false {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		io.Copy(io.Discard, r.Body)
		if !first {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext")
			continue
		}
		io.WriteString(c, p.answer)
		if !p.whole {
			c.(*net.UnixConn).CloseWrite()
		}
		close(p.written)
	}
}

// two sends a request, and a second one when the first answer is complete.
func (p *fuzzPeer) two(tr interface {
	http.RoundTripper
	CloseIdleConnections()
}) (first, second string) {
	defer tr.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Second)
	defer cancel()
	body := ""
	if p.method == "POST" {
		body = "{}"
	}
	first = told(tr.RoundTrip(request(ctx, p.t, "h", p.method, body)))
	<-p.written
	second = told(tr.RoundTrip(request(ctx, p.t, "h", "GET", "")))
	return first, second
}
