package proxy

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/sse"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// open passes a stream through an opening in pieces of the given sizes. It
// returns the output and the data that the opening asked about.
func open(t *testing.T, stream string, sizes []byte) (out string, asked []string) {
	t.Helper()
	var b strings.Builder
	o := &endpointRewriter{rename: func(data string) (string, error) {
		asked = append(asked, data)
		return "/new", nil
	}}
	rest := []byte(stream)
	for i := 0; len(rest) > 0; i++ {
		n := len(rest)
		if len(sizes) > 0 {
			n = min(n, int(sizes[i%len(sizes)])%32+1)
		}
		if o.over {
			b.Write(rest)
			return b.String(), asked
		}
		p, err := o.write(rest[:n])
		if err != nil {
			t.Fatal(err)
		}
		b.Write(p)
		rest = rest[n:]
	}
	if !o.over {
		b.Write(o.event.Held())
	}
	return b.String(), asked
}

func TestS04Opening(t *testing.T) {
	long := ":" + strings.Repeat("x", sse.MaxFirst)
	tests := []struct {
		name, in, want, asked string
	}{
		{"S04 LF", "event: endpoint\ndata: /m?s=1\n\nx", "event: endpoint\ndata: /new\n\nx", "/m?s=1"},
		{"S04 CRLF", "event: endpoint\r\ndata: /m\r\n\r\nx", "event: endpoint\r\ndata: /new\r\n\r\nx", "/m"},
		{"S04 CR", "event: endpoint\rdata: /m\r\rx", "event: endpoint\rdata: /new\r\rx", "/m"},
		{"S04 mixed ends", "event: endpoint\rdata: /m\n\rx", "event: endpoint\rdata: /new\n\rx", "/m"},
		{"S04 no space", "event:endpoint\ndata:/m\n\n", "event:endpoint\ndata: /new\n\n", "/m"},
		{"S04 one space of two", "event: endpoint\ndata:  /m\n\n", "event: endpoint\ndata: /new\n\n", " /m"},
		{"S04 data first", "data: /m\nevent: endpoint\n\n", "data: /new\nevent: endpoint\n\n", "/m"},
		{"S04 byte order mark", "\xEF\xBB\xBFdata: /m\nevent: endpoint\n\n", "\xEF\xBB\xBFdata: /new\nevent: endpoint\n\n", "/m"},
		{"S04 mark and blank line", "\xEF\xBB\xBF\nevent: endpoint\ndata: /m\n\n", "\xEF\xBB\xBF\nevent: endpoint\ndata: /new\n\n", "/m"},
		{"S04 comments, id, retry", ": hi\n\n:\r\n\r\nretry: 5\nid: 1\n\nid: 2\nevent: endpoint\n: c\ndata: /m\nretry: 6\n\n",
			": hi\n\n:\r\n\r\nretry: 5\nid: 1\n\nid: 2\nevent: endpoint\n: c\ndata: /new\nretry: 6\n\n", "/m"},
		{"S04 the last name counts", "event: a\ndata: /m\nevent: endpoint\n\n", "event: a\ndata: /new\nevent: endpoint\n\n", "/m"},
		{"S04 several data lines", "event: endpoint\rdata: /a\rdata: /b\n\nx", "event: endpoint\rdata: /new\n\nx", "/a\n/b"},
		{"S04 data lines apart", "data: /a\r\nevent: endpoint\rdata\n\nx", "event: endpoint\rdata: /new\n\nx", "/a\n"},
		{"S04 a name without data", "event: endpoint\n\nevent: endpoint\ndata: /m\n\n", "event: endpoint\n\nevent: endpoint\ndata: /new\n\n", "/m"},
		{"S04 an LF after a CR that ended nothing", ":\r\r\nevent: endpoint\ndata: /m\n\n", ":\r\r\nevent: endpoint\ndata: /new\n\n", "/m"},
		{"S05 second endpoint event", "event: endpoint\ndata: /m\n\nevent: endpoint\ndata: /m\n\n", "event: endpoint\ndata: /new\n\nevent: endpoint\ndata: /m\n\n", "/m"},
		{"S06 other event first", "data: x\n\nevent: endpoint\ndata: /m\n\n", "data: x\n\nevent: endpoint\ndata: /m\n\n", ""},
		{"S06 other name at last", "event: endpoint\nevent: message\ndata: /m\n\n", "event: endpoint\nevent: message\ndata: /m\n\n", ""},
		{"S06 other case", "event: Endpoint\ndata: /m\n\n", "event: Endpoint\ndata: /m\n\n", ""},
		{"S06 empty data", "data:\n\nevent: endpoint\ndata: /m\n\n", "data:\n\nevent: endpoint\ndata: /m\n\n", ""},
		{"S06 a name is for one event", "event: endpoint\n\ndata: /m\n\n", "event: endpoint\n\ndata: /m\n\n", ""},
		{"S06 end within the event", "event: endpoint\ndata: /m\n", "event: endpoint\ndata: /m\n", ""},
		{"S06 too far on", long + "\n\nevent: endpoint\ndata: /m\n\n", long + "\n\nevent: endpoint\ndata: /m\n\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, sizes := range [][]byte{nil, {0}, {1}, {2, 0, 6}, {15, 1}} {
				got, asked := open(t, tt.in, sizes)
				if got != tt.want {
					t.Errorf("in pieces of %v: got %q, want %q", sizes, got, tt.want)
				}
				if strings.Join(asked, "|") != tt.asked {
					t.Errorf("in pieces of %v: asked about %q, want %q", sizes, asked, tt.asked)
				}
			}
		})
	}
}

func TestOpeningPassesNothingOfARefusedEvent(t *testing.T) {
	refused := errors.New("refused")
	o := &endpointRewriter{rename: func(string) (string, error) { return "", refused }}
	out, err := o.write([]byte(": hi\n\nevent: endpoint\ndata: https://thief.example/\n\nmore"))
	if len(out) > 0 || err != refused {
		t.Errorf("got %q, %v; want nothing, %v", out, err, refused)
	}
}

// FuzzOpening: with pieces of any size, a parser sees the same events in the
// same order. Only the data of the first event changes, if that is an endpoint
// event. Every other byte passes unchanged.
func FuzzOpening(f *testing.F) {
	f.Add("event: endpoint\ndata: /m\n\ndata: x\n\n", []byte{1})
	f.Add("\xEF\xBB\xBF: c\r\rid: 1\revent:endpoint\r\ndata\r\ndata: y\n\n\nevent: endpoint\ndata: z\n\n", []byte{0, 7})
	f.Add("retry: 5\n\nevent: endpoint\n\nevent: endpoint\ndata: /a\rdata: /b\n\r\n", []byte{3})
	f.Add("data: x\r\n\r\nevent: endpoint\ndata: /m\n\n", []byte{})
	f.Fuzz(func(t *testing.T, stream string, sizes []byte) {
		got, asked := open(t, stream, sizes)
		want := shimtest.Events(stream)
		first := -1
		for i, e := range want {
			if e.Retry == "" {
				first = i
				break
			}
		}
		if len(asked) == 0 {
			if got != stream {
				t.Errorf("got %q, want %q", got, stream)
			}
			if first >= 0 && want[first].Name == "endpoint" && len(stream) < sse.MaxFirst {
				t.Errorf("the endpoint event of %q passed unchanged", stream)
			}
			return
		}
		if first < 0 || want[first].Name != "endpoint" || len(asked) != 1 || asked[0] != want[first].Data {
			t.Fatalf("asked about %q for %q", asked, stream)
		}
		want[first].Data = "/new"
		if events := shimtest.Events(got); !reflect.DeepEqual(events, want) {
			t.Errorf("got %+v, want %+v, sent %q", events, want, got)
		}
	})
}
