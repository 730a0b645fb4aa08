package sse

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/shimtest"
)

func TestParser(t *testing.T) {
	tests := []struct {
		name, stream string
		open         bool
	}{
		{"start", "", true},
		{"event", "data: x\n\n", true},
		{"one line", "data: x\n", false},
		{"half a line", "data: x", false},
		{"CRLF", "data: x\r\n\r\n", true},
		{"CRLF half", "data: x\r\n\r", true},
		{"CRLF one line", "data: x\r\n", false},
		{"CR", "data: x\r\r", true},
		{"CR one line", "data: x\r", false},
		{"mixed", "data: x\r\n\n", true},
		{"comment without a blank line", "data: x\n\n: ping\n", true},
		{"in a comment", ": pi", false},
		{"comment inside an event", "data: x\n: ping\n", false},
		{"id alone", "id: 1\n", false},
		{"mark", "\xEF\xBB\xBF", true},
		{"half a mark", "\xEF\xBB", false},
		{"mark and event", "\xEF\xBB\xBFdata: x\n\n", true},
	}
	for _, tt := range tests {
		var whole, single Parser
		whole.Follow([]byte(tt.stream))
		for i := range len(tt.stream) {
			single.Follow([]byte(tt.stream[i : i+1]))
		}
		if whole.Between() != tt.open || single.Between() != tt.open {
			t.Errorf("%s: got open %v in one piece, %v byte by byte, want %v", tt.name, whole.Between(), single.Between(), tt.open)
		}
	}
}

// FuzzKeepAlive: comments at any place that the parser allows never change the
// events that a client sees.
func FuzzKeepAlive(f *testing.F) {
	f.Add("event: a\ndata: x\n\ndata: y\r\n\r\nid: 1\rdata: z\r\r", []byte{1, 2, 3})
	f.Add("\xEF\xBB\xBFdata: x\n\n", []byte{0, 1})
	f.Add("\xEF\xBBdata: x\n\n", []byte{0, 1, 0, 1})
	f.Add(": c\ndata\n\nretry: 5\n\n", []byte{5})
	f.Fuzz(func(t *testing.T, stream string, cuts []byte) {
		var out bytes.Buffer
		var b Parser
		rest := []byte(stream)
		for i := 0; ; i++ {
			if b.Between() {
				out.WriteString(Comment)
				b.Commented()
			}
			if len(rest) == 0 {
				break
			}
			n := len(rest)
			if len(cuts) > 0 {
				n = min(n, int(cuts[i%len(cuts)])%8+1)
			}
			held, kept := b.Trim(rest[:n])
			out.Write(held)
			out.Write(kept)
			b.Follow(rest[:n])
			rest = rest[n:]
		}
		if got, want := shimtest.Events(out.String()), shimtest.Events(stream); !reflect.DeepEqual(got, want) {
			t.Errorf("got %s, want %s, sent %q", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want), out.String())
		}
	})
}

// BenchmarkParser parses an event stream as it passes.
func BenchmarkParser(b *testing.B) {
	for _, size := range []int{100, 4 << 10} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			event := []byte("id: 1\ndata: " + strings.Repeat("x", size-14) + "\n\n")
			b.SetBytes(int64(len(event)))
			b.ReportAllocs()
			var s Parser
			for b.Loop() {
				s.Follow(event)
			}
		})
	}
}
