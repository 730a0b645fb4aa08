package origin

import (
	"bytes"
	"io"
	"strings"
	"sync/atomic"
)

// maxHead is how long the head of a request may be, in bytes, that shows no
// valid token. With one it may be as long as the server's own limit: arguments
// of tools travel in headers.
const maxHead = 32 << 10

// headTooLong is the answer to a longer one: RFC 6585, Section 5. The HTTP server
// cannot give it, since it never gets to see that head whole.
var headTooLong = []byte("HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

// errHeadTooLong is io.EOF, for which the HTTP server writes no answer of its
// own.
var errHeadTooLong = io.EOF

// A headReader follows the head of a request as it arrives: how long it is, and
// which token it shows.
type headReader struct {
	whole   atomic.Bool // the server has the head, and what follows is a body
	length  int
	trusted bool   // its token is valid
	token   string // the last that was seen
	partial []byte // the line that has not ended yet, no longer than maxLine
}

// maxLine is how much of a line is kept. Our tokens are shorter.
const maxLine = 512

// again begins with the next request of the connection.
func (h *headReader) again() {
	h.length, h.trusted, h.token, h.partial = 0, false, "", nil
	h.whole.Store(false)
}

// take takes the next bytes of a head. It returns false if the head is too long
// for one that has shown no valid token.
func (h *headReader) take(b []byte, known func(token string) bool) bool {
	h.length += len(b)
	for len(b) > 0 && !h.trusted {
		line, rest, ended := bytes.Cut(b, []byte("\n"))
		if len(h.partial) > 0 || !ended {
			room := maxLine - len(h.partial)
			h.partial = append(h.partial, line[:min(room, len(line))]...)
			line = h.partial
		}
		if ended {
			if token := bearer(line); token != "" {
				h.token = token
			}
			h.partial = h.partial[:0]
		}
		b = rest
	}
	if h.length <= maxHead || h.trusted {
		return true
	}
	h.trusted = h.token != "" && known(h.token)
	return h.trusted
}

// bearer returns the token of an Authorization line: RFC 6750, Section 2.1.
func bearer(line []byte) string {
	const name, scheme = "authorization:", "bearer "
	if len(line) < len(name) || !strings.EqualFold(string(line[:len(name)]), name) {
		return ""
	}
	value := strings.TrimSpace(string(line[len(name):]))
	if len(value) < len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return ""
	}
	return strings.TrimSpace(value[len(scheme):])
}
