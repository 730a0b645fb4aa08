package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// TestBrokenAnswers has servers that answer what is no HTTP, or broken. What
// people read says so, over both ways to a server, and never that the server
// could not be reached, which it was.
func TestBrokenAnswers(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	braces := strings.Repeat("{}", 10)
	broken := func(what string) string { return fmt.Sprintf(TextBroken, what) }
	for _, tt := range []struct{ name, answer, want string }{
		{"another protocol", "SSH-2.0-OpenSSH_9.6\r\n", TextNotHTTP},
		{"random bytes", "\x00\x01\x02\xff\xfe", TextNotHTTP},
		{"JSON alone", `{"jsonrpc":"2.0","id":7,"result":{}}` + "\n", TextNotHTTP},
		{"mail", "220 mail.example ESMTP\r\n", TextNotHTTP},
		{"HTTP/2", "\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", TextNotHTTP},
		{"unknown version", "HTTP/9.9.9 200 OK\r\n\r\n", TextNotHTTP},
		{"status that is a word", "HTTP/1.1 fine OK\r\n\r\n", TextNotHTTP},
		{"length that is a word", head + "Content-Length: two\r\n\r\n{}", broken(brokenLength)},
		{"length below zero", head + "Content-Length: -2\r\n\r\n{}", broken(brokenLength)},
		{"two lengths", head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", broken(brokenLength)},
		{"header without a colon", head + "Connection\r\n\r\n{}", broken(brokenHeader)},
		{"long header", head + "X-Long: " + strings.Repeat("x", 300<<10) + "\r\n\r\n{}", broken(brokenLong)},
		{"chunk without a length", head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}", broken(brokenParts)},
		{"chunk of another length", head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}{}\r\n0\r\n\r\n", broken(brokenParts)},
		{"unknown transfer coding", head + "Transfer-Encoding: pony\r\n\r\n{}", broken(brokenParts)},
		{"no brotli", head + "Content-Encoding: br\r\nContent-Length: 20\r\n\r\n" + braces, broken(brokenCoding)},
		{"no gzip", head + "Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + braces, broken(brokenCoding)},
		{"too short for gzip", head + "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", broken(brokenCoding)},
		{"no deflate", head + "Content-Encoding: deflate\r\nContent-Length: 20\r\n\r\n" + braces, broken(brokenCoding)},
		{"torn gzip", head + "Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n\x1f\x8b\x08", TextBrokeOff},
		{"too long a length", head + "Content-Length: 200\r\n\r\n{}", TextBrokeOff},
		{"half a header", head, TextBrokeOff},
		{"nothing", "", TextBrokeOff},
	} {
		for _, scheme := range []string{"http", "https"} {
			t.Run(tt.name+"/"+scheme, func(t *testing.T) {
				c, u := serveRaw(t, scheme, tt.answer)
				ctx := WithTarget(context.WithValue(t.Context(), BodyKey{}, []byte("{}")), &Target{URL: u})
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader("{}"))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := c.RoundTrip(req)
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				if got := Explain(err); err == nil || got != tt.want {
					t.Errorf("%v is explained as %q, want %q", err, got, tt.want)
				}
				if !Reached(err) || Broken(err) != (tt.want != TextBrokeOff) {
					t.Errorf("%v: reached %v, broken %v", err, Reached(err), Broken(err))
				}
			})
		}
	}
}

// TestUnreached: where nothing was answered, an answer is not to blame.
func TestUnreached(t *testing.T) {
	c, u := serveRaw(t, "http", "")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u.Host = l.Addr().String()
	l.Close()
	req, err := http.NewRequestWithContext(WithTarget(t.Context(), &Target{URL: u}), http.MethodGet, u.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.RoundTrip(req); err == nil || Reached(err) || Broken(err) {
		t.Errorf("%v: reached %v, broken %v", err, Reached(err), Broken(err))
	}
}

// serveRaw answers every request with the same bytes, and then closes.
func serveRaw(t *testing.T, scheme, answer string) (*Client, *url.URL) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	u := &url.URL{Scheme: scheme, Host: l.Addr().String(), Path: "/mcp"}
	c := New(nil)
	t.Cleanup(c.CloseIdleConnections)
	if scheme == "https" {
		s := httptest.NewUnstartedServer(nil) // it has a certificate
		s.StartTLS()
		c.TrustRoots(s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs)
		l = tls.NewListener(l, &tls.Config{Certificates: s.TLS.Certificates})
		s.Close()
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				if r, err := http.ReadRequest(in); err == nil {
					io.Copy(io.Discard, r.Body) // what is unread would reset the connection
					io.WriteString(conn, answer)
				}
			}()
		}
	}()
	return c, u
}
