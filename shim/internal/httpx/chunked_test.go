package httpx

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCloseChunked(t *testing.T) {
	const next = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n"
	srv := httptest.NewServer(CloseChunked(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/events" {
			http.NewResponseController(w).Flush()
		}
		io.WriteString(w, r.URL.Path)
	})))
	defer srv.Close()
	for _, tt := range []struct {
		name, request string
		closed        bool
	}{
		{"length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}", false},
		{"nothing", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", false},
		{"length and chunks", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
		{"chunks and length", "POST / HTTP/1.1\r\nHost: h\r\ntransfer-encoding: Chunked\r\ncontent-length: 60\r\n\r\n2\r\n{}\r\n0\r\n\r\n", true},
		{"both, answered by a stream", "POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
		{"chunks", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, tt.request+next)
			in := bufio.NewReader(c)
			res, err := http.ReadResponse(in, nil)
			if err != nil || res.StatusCode != 200 {
				t.Fatalf("got %v, %v", res, err)
			}
			io.Copy(io.Discard, res.Body)
			if res.Close != tt.closed {
				t.Errorf("Connection: close is %v, want %v", res.Close, tt.closed)
			}
			res, err = http.ReadResponse(in, nil)
			if (err != nil) != tt.closed {
				t.Errorf("the next request got %v, %v, want none: %v", res, err, tt.closed)
			}
			if err == nil {
				b, _ := io.ReadAll(res.Body)
				if !strings.HasSuffix(string(b), "/next") {
					t.Errorf("the next request got %q", b)
				}
			}
		})
	}
}
