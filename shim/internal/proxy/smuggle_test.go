package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A plainPeer is an upstream that records every request that arrives, going
// only by the bytes on its connections.
type plainPeer struct {
	net.Listener
	mu   sync.Mutex
	seen []string
	bad  []string
}

func newPlainPeer(t *testing.T) *plainPeer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &plainPeer{Listener: ln}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { defer c.Close(); p.serve(c) })
		}
	})
	t.Cleanup(func() { ln.Close(); all.Wait() })
	return p
}

func (p *plainPeer) serve(c net.Conn) {
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			if err != io.EOF && in.Buffered() > 0 {
				p.mu.Lock()
				p.bad = append(p.bad, err.Error())
				p.mu.Unlock()
			}
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client disconnected
		}
		p.mu.Lock()
		p.seen = append(p.seen, fmt.Sprintf("%s %s %q", r.Method, r.RequestURI, body))
		p.mu.Unlock()
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
	}
}

// TestSmuggling sends what two servers in a row may read as requests of
// different lengths. No upstream may see a request that the proxy did not see,
// or a part of one.
func TestSmuggling(t *testing.T) {
	const (
		line = "POST /s1/mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
		evil = "POST /evil HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
	)
	long := strings.Repeat("x", 40<<10)
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }
	one := func(body string) string { return fmt.Sprintf("POST /mcp %q", body) }
	tests := []struct {
		name, sent string
		want       []string // what the upstream sees at most, in this order
		status     int      // status of the first answer; 0 means that the client ends there
	}{
		{"a request in the body", line + length(len(evil)) + "\r\n" + evil, []string{one(evil)}, 200},
		{"a request after the body", line + length(2) + "\r\n{}" + strings.Replace(evil, "/evil", "/s1/mcp", 1), []string{one("{}"), one("")}, 200},
		{"length, then chunks", line + length(len("0\r\n\r\n"+evil)) + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, []string{one(""), `POST /mcp/evil ""`}, 200}, // chunks win, so the proxy sees two requests
		{"chunks, then length", line + "Transfer-Encoding: chunked\r\n" + length(3) + "\r\n5\r\nhello\r\n0\r\n\r\n", []string{one("hello")}, 200},
		{"two lengths", line + length(2) + length(2+len(evil)) + "\r\n{}" + evil, nil, 400},
		{"two lengths that agree", line + length(2) + length(2) + "\r\n{}", []string{one("{}")}, 200},
		{"a signed length", line + "Content-Length: +2\r\n\r\n{}", nil, 400},
		{"a folded length", line + "Content-Length: 2\r\n 0\r\n\r\n{}", nil, 400},
		{"a folded header", line + "X-A: b\r\n Content-Length: 0\r\n" + length(2) + "\r\n{}", []string{one("{}")}, 200},
		{"a coding in another spelling", line + length(2) + "Transfer_Encoding: chunked\r\n\r\n{}", []string{one("{}")}, 200},
		{"a space before the colon", line + length(2) + "Transfer-Encoding : chunked\r\n\r\n{}", nil, 400},
		{"a tab before chunked", line + "Transfer-Encoding: \tchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", []string{one("{}")}, 200},
		{"another coding", line + "Transfer-Encoding: xchunked\r\n" + length(2) + "\r\n{}", nil, 501},
		{"a bare LF in the head", line + "X-A: b\n" + length(2) + "\r\n{}", []string{one("{}")}, 200},
		{"a bare CR in a value", line + "X-A: b\rX-B: c\r\n" + length(2) + "\r\n{}", nil, 400},
		{"NUL in a value", line + "X-A: b\x00\r\n" + length(2) + "\r\n{}", nil, 400},
		{"a length that Connection names", line + "Connection: Content-Length\r\n" + length(len(evil)) + "\r\n" + evil, []string{one(evil)}, 200},
		{"a trailer", line + "Trailer: X-A\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-A: b\r\nAuthorization: c\r\n\r\n", []string{one("{}")}, 200},
		{"a body that ends early", line + length(100) + "\r\n" + evil, nil, 0},
		{"a long body that ends early", line + length(len(long)+100) + "\r\n" + long, nil, 0},
		{"an encoded line break in the path", strings.Replace(line, "/s1/mcp", "/s1/mcp?a=%0d%0aX:%20y", 1) + length(2) + "\r\n{}", []string{`POST /mcp?a=%0d%0aX:%20y "{}"`}, 200},
		{"GET with a body", "GET /s1/mcp HTTP/1.1\r\nHost: x\r\n" + length(len(evil)) + "\r\n" + evil, []string{fmt.Sprintf("GET /mcp %q", evil)}, 200},
		{"leave to send", line + "Expect: 100-continue\r\n" + length(2) + "\r\n{}", []string{one("{}")}, 100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlainPeer(t)
			b := newBench(t, "http://"+p.Addr().String()+"/mcp")
			c, err := net.Dial("tcp", b.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(10 * time.Second))
			io.WriteString(c, tt.sent)
			in := bufio.NewReader(c)
			if tt.status == 0 {
				c.(*net.TCPConn).CloseWrite()
			} else {
				answers := max(1, len(tt.want))
				if tt.status == http.StatusContinue {
					answers++
				}
				for i := range answers {
					res, err := http.ReadResponse(in, nil)
					if err != nil {
						t.Fatal(err)
					}
					io.Copy(io.Discard, res.Body)
					if i == 0 && res.StatusCode != tt.status {
						t.Errorf("got %s, want %d", res.Status, tt.status)
					}
				}
			}
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, in) // until the proxy has closed as well
			// The bytes so far must have left nothing on the connections that
			// carry the next request.
			b.post(t, `"next"`)
			p.mu.Lock()
			defer p.mu.Unlock()
			if want := append(slices.Clone(tt.want), one(`"next"`)); !slices.Equal(p.seen, want) {
				t.Errorf("the upstream saw %q, want %q", p.seen, want)
			}
			if len(p.bad) > 0 {
				t.Errorf("the upstream saw bytes that are not a request: %q", p.bad)
			}
		})
	}
}
