package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestGather sends short bodies in parts. The upstream gets one request, when
// the body is complete, with all of it.
func TestGather(t *testing.T) {
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	b := newBench(t, o.URL+"/mcp")
	long := strings.Repeat("0123456789abcdef", gatherLimit/16)
	conn, err := net.Dial("tcp", b.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReader(conn)
	for i, tt := range []struct{ name, first, rest string }{
		{"at once", "hello", ""},
		{"later", "", "hello"},
		{"in two parts", "he", "llo"},
		{"all but the last byte", "hell", "o"},
		{"as long as may be", long, ""},
		{"as long as may be, in two parts", long[:100], long[100:]},
		{"longer", long, "x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.first + tt.rest
			fmt.Fprintf(conn, "POST /s1/mcp HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(want), tt.first)
			if len(want) <= gatherLimit && tt.rest != "" {
				if _, _, n := o.got(); n != i {
					t.Errorf("the upstream got %d requests before the body was whole, want %d", n, i)
				}
			}
			io.WriteString(conn, tt.rest)
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(res.Body); string(got) != want || err != nil {
				t.Errorf("got %d bytes, %v; want %d", len(got), err, len(want))
			}
		})
	}
}

// TestGatherExpect has a client that waits for permission to send its body.
func TestGatherExpect(t *testing.T) {
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	b := newBench(t, o.URL+"/mcp")
	res := b.raw(t, "POST /s1/mcp HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
	if res.StatusCode != http.StatusContinue {
		t.Errorf("got %s, want 100", res.Status)
	}
}

// TestGatherEnds: a call with a body that never completes does not reach the
// upstream, and a pause ends the call.
func TestGatherEnds(t *testing.T) {
	o := newOrigin(t, nil)
	b := newBench(t, o.URL+"/mcp")
	paused, asked := make(chan struct{}), make(chan struct{})
	b.set(func(c *Call) {
		c.Paused = paused
		c.Rejected = func() (bool, bool) { close(asked); return false, false } // the last check before the body is read
	})
	conn, err := net.Dial("tcp", b.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(conn, "POST /s1/mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n%s", callBody)
	<-asked
	close(paused)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("got %s, want 503 with Retry-After", res.Status)
	}
	if _, _, n := o.got(); n != 0 {
		t.Errorf("the upstream got %d requests, want none", n)
	}
	if out := b.last(t, 1); out.Status != http.StatusServiceUnavailable {
		t.Errorf("got %+v, want status 503", out)
	}
}

// A chunked body that is whole goes out with its length: some upstreams want one.
func TestWholeBodyHasLength(t *testing.T) {
	for _, tt := range []struct {
		name   string
		size   int
		pause  time.Duration // before the last byte
		length int64         // that the upstream sees
	}{
		{"nothing", 0, 0, 0},
		{"short", 2, 0, 2},
		{"short, in two parts", 200, spoolTime / 10, 200},
		{"long", 300 << 10, 0, 300 << 10},
		{"longer than is kept", maxSpool + maxSpool/2, 0, -1},
		{"late", 200, 2 * spoolTime, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrigin(t, nil)
			b := newBench(t, o.URL+"/mcp")
			body := strings.Repeat("x", tt.size)
			pr, pw := io.Pipe()
			go func() {
				defer pw.Close()
				if tt.size > 0 {
					io.WriteString(pw, body[:tt.size-1])
					time.Sleep(tt.pause)
					io.WriteString(pw, body[tt.size-1:])
				}
			}()
			r := b.request(t, "POST", "", "")
			r.Body, r.ContentLength = pr, -1
			if res, _ := b.do(t, r); res.StatusCode != 200 {
				t.Errorf("got %d", res.StatusCode)
			}
			got, sent, _ := o.got()
			if string(sent) != body {
				t.Errorf("the upstream got %d bytes, want %d", len(sent), len(body))
			}
			if got.ContentLength != tt.length || (len(got.TransferEncoding) > 0) != (tt.length < 0) {
				t.Errorf("the upstream got length %d and coding %q, want length %d", got.ContentLength, got.TransferEncoding, tt.length)
			}
		})
	}
}
