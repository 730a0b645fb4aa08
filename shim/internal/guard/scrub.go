package guard

import "strings"

// Piece is the length from which a piece of a key is hidden. Shorter pieces are
// often a prefix that all keys of a vendor share, or its name.
const Piece = 8

// Scrub hides in s, a text of ours that quotes an upstream, everything that could
// be a piece of a secret: servers repeat keys in their errors whole or shortened,
// in any case.
func Scrub(s string, secrets ...string) string {
	for _, secret := range secrets {
		s = scrubOne(s, secret)
	}
	return s
}

func scrubOne(s, secret string) string {
	n := min(Piece, len(secret))
	pieces := make(map[string]bool, len(secret))
	low := lower(secret)
	for i := 0; i+n <= len(low); i++ {
		pieces[low[i:i+n]] = true
	}
	text := lower(s)
	var b strings.Builder
	done := 0 // bytes of s that were written or hidden
	for i := 0; i+n <= len(text); {
		if !pieces[text[i:i+n]] {
			i++
			continue
		}
		end := i + n
		for j := i + 1; j <= end && j+n <= len(text); j++ {
			if pieces[text[j:j+n]] {
				end = j + n
			}
		}
		b.WriteString(s[done:i])
		b.WriteString("[hidden]")
		done, i = end, end
	}
	return b.String() + s[done:]
}

// lower is strings.ToLower for ASCII only; it keeps the length.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}
