package proxy

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestBoundary(t *testing.T) {
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
		var whole, single boundary
		whole.write([]byte(tt.stream))
		for i := range len(tt.stream) {
			single.write([]byte(tt.stream[i : i+1]))
		}
		if whole.open() != tt.open || single.open() != tt.open {
			t.Errorf("%s: got open %v in one piece, %v byte by byte, want %v", tt.name, whole.open(), single.open(), tt.open)
		}
	}
}

// An event is what an EventSource dispatches. Retry times are events here too,
// so that a comparison sees them.
type event struct{ Name, Data, ID, Retry string }

// parseEvents is WHATWG HTML, Section 9.2.6, to the letter.
func parseEvents(stream string) (events []event) {
	stream = strings.TrimPrefix(stream, "\xEF\xBB\xBF")
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(stream, "\n")
	var name, id string
	var data strings.Builder
	for _, line := range lines[:len(lines)-1] { // what no line end follows is dropped
		if line == "" {
			if data.Len() > 0 {
				events = append(events, event{Name: name, Data: strings.TrimSuffix(data.String(), "\n"), ID: id})
			}
			name = ""
			data.Reset()
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch key {
		case "event":
			name = value
		case "data":
			data.WriteString(value + "\n")
		case "id":
			if !strings.Contains(value, "\x00") {
				id = value
			}
		case "retry":
			events = append(events, event{Retry: "=" + value})
		}
	}
	return events
}

// FuzzKeepAlive: comments put wherever the scanner allows them never change
// the events that a client sees.
func FuzzKeepAlive(f *testing.F) {
	f.Add("event: a\ndata: x\n\ndata: y\r\n\r\nid: 1\rdata: z\r\r", []byte{1, 2, 3})
	f.Add("\xEF\xBB\xBFdata: x\n\n", []byte{0, 1})
	f.Add("\xEF\xBBdata: x\n\n", []byte{0, 1, 0, 1})
	f.Add(": c\ndata\n\nretry: 5\n\n", []byte{5})
	f.Fuzz(func(t *testing.T, stream string, cuts []byte) {
		var out bytes.Buffer
		var b boundary
		rest := []byte(stream)
		for i := 0; ; i++ {
			if b.open() {
				out.WriteString(keepAlive)
				b.commented()
			}
			if len(rest) == 0 {
				break
			}
			n := len(rest)
			if len(cuts) > 0 {
				n = min(n, int(cuts[i%len(cuts)])%8+1)
			}
			held, kept := b.trim(rest[:n])
			out.Write(held)
			out.Write(kept)
			b.write(rest[:n])
			rest = rest[n:]
		}
		if got, want := parseEvents(out.String()), parseEvents(stream); !reflect.DeepEqual(got, want) {
			t.Errorf("got %s, want %s, sent %q", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want), out.String())
		}
	})
}
