//go:build unix

package wire

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// These tests wait until the system knows what a peer did to a connection.

// A connection that the peer closed while it was idle is not used again, so a
// request that must not be repeated is not lost on it.
func TestClosedWhileWaiting(t *testing.T) {
	p := newPeer(t, func(c net.Conn, in *bufio.Reader) {
		if _, err := http.ReadRequest(in); err == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
		}
	})
	tr := newTransport(t)
	for i := range 20 {
		res, err := tr.RoundTrip(request(t.Context(), t, p.Addr().String(), "POST", "{}"))
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		waitIdle(t, tr, p.Addr().String(), unix.POLLIN)
	}
}

// Bytes that a peer sends before it was asked are not the answer to the next
// request.
func TestUnasked(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
	read := make(chan struct{})
	p := newPeer(t, func(c net.Conn, in *bufio.Reader) {
		for {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			io.WriteString(c, answer)
			<-read
			io.WriteString(c, strings.Replace(answer, "good", "evil", 1))
		}
	})
	tr := newTransport(t)
	for range 2 {
		got := told(tr.RoundTrip(request(t.Context(), t, p.Addr().String(), "GET", "")))
		if !strings.Contains(got, "good") {
			t.Errorf("got %s", got)
		}
		read <- struct{}{}
		waitIdle(t, tr, p.Addr().String(), unix.POLLIN)
	}
	if n := p.conns.Load(); n != 2 {
		t.Errorf("there were %d connections, want 2", n)
	}
}

// If a peer answers and closes before it has read the request, the answer is
// used, but the connection is not used again.
func TestEarlyAnswer(t *testing.T) {
	closed := make(chan struct{})
	p := newPeer(t, func(c net.Conn, in *bufio.Reader) {
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\r\n" {
				break
			}
		}
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nlong")
		c.Close()
		closed <- struct{}{}
	})
	tr := newTransport(t)
	var conn net.Conn // the newest
	tr.DialContext = func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return conn, err
	}
	for range 2 {
		req := request(t.Context(), t, p.Addr().String(), "POST", strings.Repeat("x", maxBody))
		req.Body = io.NopCloser(io.MultiReader(
			strings.NewReader(strings.Repeat("x", 8<<10)),
			readerFunc(func([]byte) (int, error) {
				<-closed
				waitConn(t, conn, unix.POLLERR|unix.POLLHUP) // it was reset
				return 0, io.EOF
			}),
			strings.NewReader(strings.Repeat("x", maxBody-8<<10)),
		))
		if got := told(tr.RoundTrip(req)); !strings.Contains(got, `413`) || !strings.Contains(got, `"long" false`) {
			t.Errorf("got %s", got)
		}
	}
	if n := p.conns.Load(); n != 2 {
		t.Errorf("there were %d connections, want 2", n)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// waitIdle waits until one of the events has come on every idle connection to a
// host. The end of a connection can be read too.
func waitIdle(t *testing.T, tr *Transport, host string, events int16) {
	t.Helper()
	tr.pool.mu.Lock()
	defer tr.pool.mu.Unlock()
	for _, c := range tr.pool.hosts[host] {
		waitConn(t, c.Conn, events)
	}
}

// waitConn waits until one of the events has come on a connection. It reads
// nothing from it.
func waitConn(t *testing.T, c net.Conn, events int16) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(testenv.Patience); ; time.Sleep(time.Millisecond) {
		come := false
		err := raw.Control(func(fd uintptr) {
			look := []unix.PollFd{{Fd: int32(fd), Events: events}}
			_, err := unix.Poll(look, 0)
			come = err == nil && look[0].Revents&events != 0
		})
		if err != nil {
			t.Fatal(err)
		}
		if come {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing has come from the peer")
		}
	}
}
