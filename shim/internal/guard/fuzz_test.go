package guard

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// insert puts forms of the secrets into a text: 0xFF stands for the form that
// the byte after it chooses, 0xFE for the first half of one, 0xFD for one that
// is escaped, 0xFC for most of that.
func insert(g *Guard, text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < 0xFC || i+1 == len(text) {
			b.WriteByte(c)
			continue
		}
		form := g.forms[int(text[i+1])*len(g.forms)/256]
		switch text[i] {
		case 0xFE:
			form = form[:len(form)/2]
		case 0xFD:
			form = escape(form, text[i+1])
		case 0xFC:
			form = escape(form[:len(form)*7/8], text[i+1])
		}
		b.WriteString(form)
		i++
	}
	return b.String()
}

// escape escapes some characters of a form, in ways that seed chooses.
func escape(form string, seed byte) string {
	var b strings.Builder
	for i, c := range []byte(form) {
		way := (int(seed) + 3*i*i + i) % 11
		switch {
		case c < 128 && way == 0:
			fmt.Fprintf(&b, `\u%04x`, c)
		case c < 128 && way == 1:
			fmt.Fprintf(&b, `\\u%04X`, c)
		case way == 2:
			fmt.Fprintf(&b, "%%%02x", c)
		case way == 3:
			fmt.Fprintf(&b, "%%%02X", c)
		case (c == '/' || c == '"') && way < 7:
			b.WriteString(`\\\`[way%3:] + string(c))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// FuzzStream: however a body is cut, what goes of it is the body with exactly
// the forms of the secrets struck out, and the sizes of the writes depend on
// nothing but its length and line ends.
func FuzzStream(f *testing.F) {
	f.Add(plainKey, "Bearer ", "{\"error\":\"\xFF\x00\"}", uint8(7), false)
	f.Add(plainKey, "", "data: \xFE\x00\n\ndata: \xFF\x40\r\n\r\n", uint8(3), true)
	f.Add(oddKey, "Token token=", "\xFF\x00\xFF\x80\xFE\x00\xFF\xFF", uint8(1), false)
	f.Add("abababababababababab", "ab", "ab\xFF\x00ab\xFE\x00\xFF\x20", uint8(5), false)
	f.Add("dXNlcm5hbWU6YSB2ZXJ5IGxvbmcgcGFzc3dvcmQ=", "Basic ", "\xFF\x00 \xFF\x60 \xFF\xA0", uint8(9), true)
	f.Add("a****************", "", "a\xFF\x00\xFE\x00", uint8(2), false)
	f.Add(plainKey, "Bearer ", "{\"a\":\"\xFD\x00\",\"b\":\"\xFD\x41\\\xFD\x90\"}\xFC\x07", uint8(7), false)
	f.Add(oddKey, "", "data: \xFD\x00\n\ndata: \xFD\x41%\xFD\x90\\\\\\\xFD\xF0\xFC\x90", uint8(3), true)
	f.Fuzz(func(t *testing.T, key, prefix, text string, size uint8, events bool) {
		if len(key) > 200 || len(prefix) > 40 || len(text) > 1000 || strings.ContainsFunc(prefix, isControl) {
			return
		}
		g := New(Field{Value: key, Prefix: prefix})
		if g == nil {
			return
		}
		text = insert(g, text)
		want := struck(g, text)
		got, count := whole(g, text)
		if got != want {
			t.Fatalf("%q became %q, want %q", text, got, want)
		}
		if g.star != '*' || !strings.Contains(key, "*") {
			for _, form := range g.forms {
				if strings.Contains(got, form) {
					t.Errorf("%q contains %q", got, form)
				}
			}
			if again := struck(g, got); again != got {
				t.Errorf("%q still has a form in it: without it, it is %q", got, again)
			}
		}
		chunk := 1 + int(size)%50
		cut, n, sizes := inPieces(g, text, chunk, events)
		if cut != want || n != count {
			t.Errorf("in chunks of %d: got %q with %d struck, want %q with %d", chunk, cut, n, want, count)
		}
		if inPlace, n := inOneBuffer(g, text, chunk, events); inPlace != want || n != count {
			t.Errorf("in one buffer, in chunks of %d: got %q with %d struck, want %q with %d", chunk, inPlace, n, want, count)
		}
		// The same lengths and line ends, and nothing else.
		blank := []byte(text)
		for i, c := range blank {
			if c != '\n' && c != '\r' {
				blank[i] = 'x'
			}
		}
		if _, _, plain := inPieces(g, string(blank), chunk, events); !slices.Equal(sizes, plain) {
			t.Errorf("in chunks of %d, %q is written in %v, %q in %v", chunk, text, sizes, blank, plain)
		}
	})
}

// inPieces passes a text in chunks. sizes are what was written after each.
func inPieces(g *Guard, text string, size int, events bool) (out string, count int, sizes []int) {
	s := Stream{Guard: g, Events: events}
	var b bytes.Buffer
	written := 0
	note := func() {
		sizes = append(sizes, b.Len()-written)
		written = b.Len()
	}
	for chunk := range slices.Chunk([]byte(text), size) {
		s.Write(&b, chunk)
		note()
	}
	s.End(&b)
	note()
	return b.String(), s.Struck, sizes
}

// inOneBuffer passes a text as a copy loop does that reads behind what is held.
func inOneBuffer(g *Guard, text string, size int, events bool) (string, int) {
	s := Stream{Guard: g, Events: events}
	var out bytes.Buffer
	buf := make([]byte, g.Hold()+size)
	held := 0
	for rest := text; ; {
		n := copy(buf[held:held+size], rest)
		rest = rest[n:]
		ready := s.Next(buf[:held+n], held, rest == "")
		out.Write(buf[:ready])
		held = copy(buf, buf[ready:held+n])
		if rest == "" {
			return out.String(), s.Struck
		}
	}
}
