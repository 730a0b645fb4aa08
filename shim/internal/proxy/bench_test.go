package proxy

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// Compares the proxy with a bare httputil.ReverseProxy that only injects a
// header: the same small call over loopback. Run both often and interleaved,
// for example with
//
//	go test -run ^$ -bench 'Bare|Proxy' -count 10
func BenchmarkBare(b *testing.B) {
	target := benchUpstream(b)
	benchHandler(b, &httputil.ReverseProxy{
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.URL.Path = target.Scheme, target.Host, target.Path
			r.Out.Host = target.Host
			r.Out.Header.Set("Authorization", "Bearer key")
		},
	})
}

func BenchmarkProxy(b *testing.B) {
	p := &Proxy{Client: upstream.New(&safedial.Guard{})}
	t := &upstream.Target{URL: benchUpstream(b), Header: endpoint.DefaultHeader, Key: endpoint.NewSecret("sk-bench-0123456789abcdef0123456789abcdef")}
	t.Ready()
	done := make(chan struct{})
	benchHandler(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.ServeHTTP(w, r, &Call{Slug: "abc", Name: "Bench", Grant: "g", CredentialID: "c", Upstream: t, Done: done,
			Rejected: func() (bool, bool) { return false, false }, Report: func(Outcome) {}})
	}))
}

// benchUpstream answers with a body as long as the request's.
func benchUpstream(b *testing.B) *url.URL {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
		w.Write(benchAnswer[len(benchAnswer)-int(r.ContentLength):])
	}))
	b.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL + "/mcp")
	if err != nil {
		b.Fatal(err)
	}
	return u
}

const benchSize = 64 << 10

var benchAnswer = []byte(strings.Repeat("x", benchSize))

// benchHandler calls h over keep-alive connections. It has its own client of a
// few lines, since the client of net/http would cost as much as what is
// measured.
func benchHandler(b *testing.B, h http.Handler) {
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	srv.Start()
	b.Cleanup(srv.Close)
	const head, tail = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"`, `"}}}`
	for _, size := range []int{300, benchSize} {
		body := head + strings.Repeat("x", size-len(head)-len(tail)) + tail
		request := []byte("POST /abc/mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer token\r\n" +
			"Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\nUser-Agent: bench\r\n" +
			"Mcp-Protocol-Version: 2025-11-25\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
		for _, parallel := range []int{1, 16} {
			b.Run(fmt.Sprintf("%dB/%d", size, parallel), func(b *testing.B) {
				b.ReportAllocs()
				work := make(chan struct{}, parallel)
				ends := make(chan error, parallel)
				for range parallel {
					go func() { ends <- benchClient(srv.Listener.Addr().String(), request, size, work) }()
				}
				for b.Loop() {
					work <- struct{}{}
				}
				close(work)
				for range parallel {
					if err := <-ends; err != nil {
						b.Error(err)
					}
				}
			})
		}
	}
}

// benchClient sends one request for each piece of work and reads the answer,
// which has a body of size bytes.
func benchClient(addr string, request []byte, size int, work <-chan struct{}) (err error) {
	buf := make([]byte, 4<<10+size)
	for conn := net.Conn(nil); ; {
		if _, more := <-work; !more {
			break
		}
		for { // a bare ReverseProxy loses a call now and then
			if conn == nil {
				if conn, err = net.Dial("tcp", addr); err != nil {
					break
				}
				defer conn.Close()
			}
			if err = benchCall(conn, request, size, buf); err == nil {
				break
			}
			conn = nil
		}
		if err != nil {
			for range work { // drain the channel, so no sender waits for us
			}
		}
	}
	return err
}

func benchCall(conn net.Conn, request []byte, size int, buf []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	for n := 0; ; {
		m, err := conn.Read(buf[n:])
		if err != nil {
			return err
		}
		n += m
		if i := bytes.Index(buf[:n], []byte("\r\n\r\n")); i >= 0 && n >= i+4+size {
			return nil
		}
	}
}
