// Package guard strikes the keys of a credential out of what its upstream
// answers. A server that repeats its key by accident, in an error or from a
// debugging tool, then does not hand it to the app. One that wants to can: it
// has the key, and nothing here finds one that was cut in pieces or encoded in
// another way than those that New lists.
//
// What is struck is replaced by asterisks of the same length, so lengths and
// framing hold. A Stream holds back the same number of bytes at every cut, of
// any content. If that depended on the bytes, the sizes and times of what
// an honest server echoes would tell an app which guess begins like the key.
package guard

import (
	"net/http"
	"slices"
	"strings"
)

// A Field is one secret of a credential.
type Field struct {
	Value  string
	Prefix string // what stands in front of it in a header, as "Bearer "
}

// A Guard knows the forms of one credential's secrets. It is made once for many
// answers, and safe for concurrent use. The nil Guard strikes nothing.
type Guard struct {
	finder
	escapes escapes
	names   []string // the secrets as they are, for names of header fields
	star    byte
	hold    int
	least   int // what is shorter has nothing to strike
}

// New returns a Guard for the secrets of one credential, or nil if none of them
// can be watched (see Watch).
//
// It finds a secret
//   - as it is, and together with its prefix;
//   - in base64 and its URL alphabet (RFC 4648), alone or as the beginning, the
//     middle or the end of a longer text, at each of the three alignments, with
//     padding or without: all characters that hold bits of the secret alone, or
//     of the secret and a colon beside it, as in user:password;
//   - each of these with any of its characters percent-encoded (RFC 3986, Section
//     2.1) or escaped for JSON (RFC 8259, Section 7), as \u002f, \/ or \", in
//     upper or lower case, also twice, as where a tool returns JSON as text;
//   - escaped for HTML as usual encoders do it, with its prefix and without, and
//     that escaped for JSON;
//   - torn at the end of the body, if three quarters of it are there, but not as
//     HTML.
//
// Of a key that is itself user:password in base64, after "Basic ", it also
// finds that text and the password, or the user where there is no password.
func New(fields ...Field) *Guard {
	if !enabled {
		return nil
	}
	g := &Guard{}
	var all []string
	var plain []text
	for _, f := range fields {
		for _, f := range f.withHalves() {
			if Watch(f.Value) != Watched {
				continue
			}
			all = append(all, listed(f)...)
			plain = append(plain, texts(f)...)
			g.names = append(g.names, f.Value)
		}
	}
	if len(plain) == 0 {
		return nil
	}
	slices.SortFunc(plain, func(a, b text) int { return strings.Compare(a.form, b.form) })
	plain = slices.Compact(plain)
	g.escapes.init(plain)
	for _, t := range plain {
		all = append(all, t.form)
	}
	all = distinct(all)
	g.star = starFor(all)
	g.finder.init(all)
	g.least = shortestTorn(g.shortest)
	g.hold = max(g.longest, maxWidth*g.escapes.longest) - 1
	return g
}

// starFor returns the character that takes the place of a secret. It stands in
// no form, or a secret and what remains of another one beside it could together
// read like a secret.
func starFor(forms []string) byte {
	for _, c := range []byte("*#~!^|$.:;@&?") {
		if !slices.ContainsFunc(forms, func(f string) bool { return strings.IndexByte(f, c) >= 0 }) {
			return c
		}
	}
	return '*'
}

// Hold is how many bytes a Stream holds back: one less than the longest that a
// form can be with escapes.
func (g *Guard) Hold() int {
	if g == nil {
		return 0
	}
	return g.hold
}

// Bytes strikes the secrets out of a whole text, in place, and returns how many
// it found.
func (g *Guard) Bytes(b []byte) int {
	s := Stream{Guard: g}
	s.Next(b, 0, true)
	return s.Struck
}

// Text returns s without the secrets, and how many there were.
func (g *Guard) Text(s string) (string, int) {
	if g == nil || len(s) < g.least {
		return s, 0
	}
	var space [512]byte
	b := append(space[:0], s...)
	if n := g.Bytes(b); n > 0 {
		return string(b), n
	}
	return s, 0
}

// Words returns s, a text of ours that may quote an upstream, without the
// secrets.
func (g *Guard) Words(s string) string {
	s, _ = g.Text(s)
	return s
}

// Header strikes the secrets out of h, which owns its values, and returns how
// many it found. A field with a secret in its name is removed: net/http changes
// the case of names, so that one is looked for in any case.
func (g *Guard) Header(h http.Header) (struck int) {
	if g == nil {
		return 0
	}
	for name, values := range h {
		if g.inName(name) {
			delete(h, name)
			struck++
			continue
		}
		owned := false
		for i, v := range values {
			if text, n := g.Text(v); n > 0 {
				if !owned { // the slice may be shared with other answers
					values, owned = slices.Clone(values), true
					h[name] = values
				}
				values[i] = text
				struck += n
			}
		}
	}
	return struck
}

func (g *Guard) inName(name string) bool {
	for _, secret := range g.names {
		for rest := name; len(rest) >= len(secret); rest = rest[1:] {
			if strings.EqualFold(rest[:len(secret)], secret) {
				return true
			}
		}
	}
	return false
}
