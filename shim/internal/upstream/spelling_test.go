package upstream

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// TestHeaderSpelling: the key's header goes out as its owner typed it, and
// alone: the client's copy does not, however that is spelled.
func TestHeaderSpelling(t *testing.T) {
	for _, name := range []string{"CONTEXT7_API_KEY", "x-figma-token", "X-API-Key", "Api-Key"} {
		for _, whole := range []bool{true, false} {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ln.Close() })
			heads := make(chan []string, 1)
			go func() {
				c, err := ln.Accept()
				if err != nil {
					heads <- nil
					return
				}
				defer c.Close()
				var lines []string
				for r := bufio.NewReader(c); ; {
					line, err := r.ReadString('\n')
					if line = strings.TrimSpace(line); line == "" || err != nil {
						break
					}
					lines = append(lines, line)
				}
				c.Write([]byte("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"))
				heads <- lines
			}()
			u := &url.URL{Scheme: "http", Host: ln.Addr().String(), Path: "/mcp"}
			ctx := WithTarget(t.Context(), &Target{URL: u, Header: endpoint.Header{Name: name}, Key: endpoint.NewSecret("sk-spelled-123")})
			if whole { // takes another transport
				ctx = context.WithValue(ctx, BodyKey{}, []byte("{}"))
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set(name, "of the client")
			req.Header.Set(strings.ReplaceAll(name, "_", "-"), "of the client")
			resp, err := newClient(t).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			head := strings.Join(<-heads, "\n")
			if !strings.Contains(head, "\n"+name+": sk-spelled-123") || strings.Contains(head, "of the client") {
				t.Errorf("%s (%t): the request was\n%s", name, whole, head)
			}
		}
	}
}
