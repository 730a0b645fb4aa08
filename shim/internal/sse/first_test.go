package sse

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/key2oauth/key2oauth/shim/shimtest"
)

func TestReadFirst(t *testing.T) {
	tests := []struct{ name, stream, event, data string }{
		{"LF", "event: endpoint\ndata: /m?s=1\n\n", "endpoint", "/m?s=1"},
		{"CRLF", "event: endpoint\r\ndata: /m\r\n\r\n", "endpoint", "/m"},
		{"CR", "event: endpoint\rdata: /m\r\r", "endpoint", "/m"},
		{"no spaces", "event:endpoint\ndata:/m\n\n", "endpoint", "/m"},
		{"byte order mark, comments, other fields", "\ufeff: hi\n\nid: 1\nretry: 5\nevent: endpoint\ndata: /m\n\n", "endpoint", "/m"},
		{"event without data first", "event: other\n\nevent: endpoint\ndata: /m\n\n", "endpoint", "/m"},
		{"no name", "data: /m\n\n", "", "/m"},
		{"two lines", "data: a\ndata: b\n\n", "", "a\nb"},
		{"unfinished", "event: endpoint\ndata: /m\n", "", ""},
		{"too long", "data: " + strings.Repeat("x", MaxFirst) + "\n\n", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if event, data := ReadFirst(strings.NewReader(tt.stream)); event != tt.event || data != tt.data {
				t.Errorf("got %q, %q; want %q, %q", event, data, tt.event, tt.data)
			}
		})
	}
}

// FuzzReadFirst: with chunks of any size and any line ends, the event found is
// the first that a client would see, and the bytes around it are unchanged.
func FuzzReadFirst(f *testing.F) {
	f.Add("event: endpoint\ndata: /m\n\n", 0)
	f.Add(": c\n\ndata: a\ndata\n\n", 1)
	f.Add("\xEF\xBB\xBFid: 1\r\n\r\nevent: a\rdata: b\r\r\n", 2)
	f.Fuzz(func(t *testing.T, stream string, size int) {
		if len(stream) > MaxFirst/2 {
			return
		}
		var want shimtest.Event
		for _, e := range shimtest.Events(stream) {
			if e.Retry == "" {
				want = e
				break
			}
		}
		name, data := ReadFirst(strings.NewReader(stream))
		if name != want.Name || data != want.Data {
			t.Errorf("got %q, %q; want %q, %q", name, data, want.Name, want.Data)
		}
		if n, d := ReadFirst(iotest.OneByteReader(strings.NewReader(stream))); n != name || d != data {
			t.Errorf("byte by byte: got %q, %q; want %q, %q", n, d, name, data)
		}
		if !strings.Contains(stream, "\r") {
			for _, end := range []string{"\r\n", "\r"} {
				if n, d := ReadFirst(strings.NewReader(strings.ReplaceAll(stream, "\n", end))); n != name || d != data {
					t.Errorf("with %q: got %q, %q; want %q, %q", end, n, d, name, data)
				}
			}
		}
		var e FirstEvent
		var out strings.Builder
		in, chunk := strings.NewReader(stream), make([]byte, 1+max(size, -size)%8)
		for {
			n, err := in.Read(chunk)
			skipped, taken, found := e.Write(chunk[:n])
			out.Write(skipped)
			if found {
				out.Write(e.Held())
				out.Write(chunk[taken:n])
				io.Copy(&out, in)
				break
			}
			if err != nil {
				out.Write(e.Held())
				break
			}
		}
		if out.String() != stream {
			t.Errorf("passed %q, want %q", out.String(), stream)
		}
	})
}
