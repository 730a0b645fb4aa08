package sse

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReader(t *testing.T) {
	for _, tt := range []struct {
		name, stream string
		want         []string // names and data
		err          error
	}{
		{"nothing", "", nil, io.EOF},
		{"one", "data: a\n\n", []string{"=a"}, io.EOF},
		{"with a name", "event: endpoint\ndata: /m?s=1\n\n", []string{"endpoint=/m?s=1"}, io.EOF},
		{"some lines of data", "data: a\ndata:b\ndata:  c\n\n", []string{"=a\nb\n c"}, io.EOF},
		{"line ends of three kinds", "data: a\r\n\r\ndata: b\r\rdata: c\n\n", []string{"=a", "=b", "=c"}, io.EOF},
		{"comments and no data", ": hello\n\nid: 7\n\ndata: a\n\n", []string{"=a"}, io.EOF},
		{"a byte order mark", "\uFEFFdata: a\n\n", []string{"=a"}, io.EOF},
		{"cut off within an event", "data: a\n\ndata: b\n", []string{"=a"}, io.EOF},
		{"too long", "data: a\n\ndata: " + strings.Repeat("x", 100) + "\n\n", []string{"=a"}, ErrTooLong},
	} {
		for _, slow := range []bool{false, true} {
			var src io.Reader = strings.NewReader(tt.stream)
			if slow {
				src = iotest.OneByteReader(src)
			}
			r := NewReader(src, 64)
			var got []string
			name, data, err := r.Next()
			for ; err == nil; name, data, err = r.Next() {
				got = append(got, name+"="+string(data))
			}
			if !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) {
				t.Errorf("%s, byte by byte: %v: got %q, %v, want %q, %v", tt.name, slow, got, err, tt.want, tt.err)
			}
		}
	}
}
