package guard

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// written returns a text with every character written in one way.
func written(text string, way func(c byte) string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteString(way(text[i]))
	}
	return b.String()
}

// TestEscapes: a character may be escaped in any way that JSON and URLs have,
// and the next one in another, wherever the text is cut.
func TestEscapes(t *testing.T) {
	ways := []func(c byte) string{
		func(c byte) string { return fmt.Sprintf(`\u%04x`, c) },
		func(c byte) string { return fmt.Sprintf(`\u%04X`, c) },
		func(c byte) string { return fmt.Sprintf(`\\u%04x`, c) },
		func(c byte) string { return fmt.Sprintf("%%%02x", c) },
		func(c byte) string { return fmt.Sprintf("%%%02X", c) },
	}
	const slashes = "sk/live/0123456789/abcdef"
	ways = append(ways, func(c byte) string {
		if c == '/' {
			return `\/`
		}
		return string(c)
	}, func(c byte) string {
		if c == '/' {
			return `\\\/`
		}
		return string(c)
	})
	for _, key := range []string{slashes, oddKey, "sk-live-0123456789abcdefg"} {
		g := New(Field{Value: key, Prefix: "Bearer "})
		var all []string
		for _, way := range ways {
			all = append(all, written(key, way))
		}
		for i := range key {
			// One character, and every second and third from it on.
			for _, way := range ways {
				all = append(all, key[:i]+way(key[i])+key[i+1:])
				for step := 2; step < 4; step++ {
					at := 0
					all = append(all, key[:i]+written(key[i:], func(c byte) string {
						if at++; at%step == 1 {
							return way(c)
						}
						return string(c)
					}))
				}
			}
			at := i
			all = append(all, written(key, func(c byte) string { at++; return ways[at*at%len(ways)](c) }))
		}
		for _, form := range all {
			if strings.Contains(key, `\`) && strings.Contains(form, `\`+key[2:4]) {
				continue // what an escape begins with is escaped too, or it is not clear what belongs to it
			}
			text := `{"text":"https:\/\/` + form + `\u0041","n":"50%"}`
			got, n := whole(g, text)
			if want := `{"text":"https:\/\/` + strings.Repeat("*", len(form)) + `\u0041","n":"50%"}`; got != want || n != 1 {
				t.Errorf("%q became %q with %d struck, want %q", text, got, n, want)
			}
			for _, size := range []int{1, 50} {
				if cut, _, _ := inPieces(g, text, size, false); cut != got {
					t.Errorf("in chunks of %d, %q became %q", size, text, cut)
				}
			}
		}
	}
}

// TestTorn: a body that ends within a key does not show most of it, and one that
// ends in a short guess is as it was.
func TestTorn(t *testing.T) {
	const key = "sk-live-0123456789abcdefg"
	g := New(Field{Value: key, Prefix: "Bearer "})
	for n := range len(key) {
		for _, way := range []func(c byte) string{
			func(c byte) string { return string(c) },
			func(c byte) string { return fmt.Sprintf(`\u%04x`, c) },
			func(c byte) string { return fmt.Sprintf("%%%02x", c) },
		} {
			end := written(key[:n], way)
			want := end
			if n >= 19 {
				want = strings.Repeat("*", len(end))
			}
			for _, before := range []string{"", "no key ", `{"error":"Bearer `, "data: x\n\ndata: "} {
				if got, _ := whole(g, before+end); got != before+want {
					t.Errorf("%q became %q, want %q", before+end, got, before+want)
				}
				if got := g.Words(before + end); got != before+want {
					t.Errorf("as words, %q became %q, want %q", before+end, got, before+want)
				}
				if got, _ := whole(g, before+end+"."); got != before+end+"." {
					t.Errorf("%q became %q", before+end+".", got)
				}
				for _, size := range []int{1, 10, 100} {
					cut, _, right := inPieces(g, before+end, size, true)
					_, _, wrong := inPieces(g, before+strings.Repeat("Z", len(end)), size, true)
					if cut != before+want || !slices.Equal(right, wrong) {
						t.Errorf("in chunks of %d, %q became %q, written in %v, another text in %v", size, before+end, cut, right, wrong)
					}
				}
			}
		}
	}
}
