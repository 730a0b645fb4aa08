package proxy

import (
	"bytes"
	"io"
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

// The proxy against a bare httputil.ReverseProxy that only injects a header:
// the same small call over loopback. Run both often and interleaved, as with
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
	t := &upstream.Target{URL: benchUpstream(b), Header: endpoint.DefaultHeader, Key: endpoint.NewSecret("key")}
	t.Ready()
	done := make(chan struct{})
	benchHandler(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.ServeHTTP(w, r, &Call{Slug: "abc", Name: "Bench", Grant: "g", CredentialID: "c", Upstream: t, Done: done,
			Rejected: func() bool { return false }, Report: func(Outcome) {}})
	}))
}

func benchUpstream(b *testing.B) *url.URL {
	answer := []byte(`{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"` + strings.Repeat("x", 200) + `"}]}}`)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Write(answer)
	}))
	b.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL + "/mcp")
	if err != nil {
		b.Fatal(err)
	}
	return u
}

// benchHandler calls h over keep-alive connections. The client is a few lines
// of its own, since net/http's would cost as much as what is measured.
func benchHandler(b *testing.B, h http.Handler) {
	srv := httptest.NewServer(h)
	b.Cleanup(srv.Close)
	body := `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"}}}`
	request := []byte("POST /abc/mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer token\r\n" +
		"Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\nUser-Agent: bench\r\n" +
		"Mcp-Protocol-Version: 2025-11-25\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
	for _, parallel := range []int{1, 16} {
		b.Run(strconv.Itoa(parallel), func(b *testing.B) {
			b.ReportAllocs()
			work := make(chan struct{}, parallel)
			ends := make(chan error, parallel)
			for range parallel {
				go func() { ends <- benchClient(srv.Listener.Addr().String(), request, work) }()
			}
			for b.Loop() {
				work <- struct{}{}
			}
			close(work)
			for range parallel {
				if err := <-ends; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchClient(addr string, request []byte, work <-chan struct{}) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	buf := make([]byte, 4<<10)
	for range work {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		for n := 0; ; {
			m, err := conn.Read(buf[n:])
			if err != nil {
				return err
			}
			n += m
			if bytes.HasSuffix(buf[:n], []byte("}]}}")) {
				break
			}
		}
	}
	return nil
}
