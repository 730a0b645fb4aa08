package guard

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// maxTwice is the length of a secret up to which JSON inside of JSON is looked
// for.
const maxTwice = 1 << 10

// forms returns the forms in which a field is looked for; New lists them. Some
// may be equal.
func forms(f Field) []string {
	texts := []string{f.Value}
	if f.Prefix != "" {
		texts = append(texts, f.Prefix+f.Value)
	}
	html := each(texts, htmlForms)
	texts = append(texts, base64Forms(f.Value)...)
	var plain []string
	for _, text := range distinct(texts) {
		plain = append(append(plain, text), percentForms(text)...)
	}
	plain = distinct(plain)
	all := distinct(each(plain, jsonForms))
	if len(f.Value) <= maxTwice {
		all = append(all, each(all, jsonForms)...)
	}
	return append(append(all, plain...), html...)
}

func each(texts []string, encode func(string) []string) (all []string) {
	for _, text := range texts {
		all = append(all, encode(text)...)
	}
	return all
}

func distinct(texts []string) []string {
	slices.Sort(texts)
	return slices.Compact(texts)
}

// base64Forms returns a text in base64 as it may stand in a longer one that
// begins or ends with it, or has it in the middle. In user:password there is a
// colon beside it.
func base64Forms(text string) []string {
	var all []string
	for _, alphabet := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for _, text := range []string{text, ":" + text, text + ":"} {
			for before := range 3 {
				whole := alphabet.EncodeToString([]byte("\x00\x00"[:before] + text))
				// The characters that hold bits of this text alone.
				from, to := (8*before+5)/6, 8*(before+len(text))/6
				all = append(all, whole[from:to], whole[from:], strings.TrimRight(whole[from:], "="))
			}
		}
	}
	return distinct(all)
}

// stay are the characters besides letters and digits that encoders leave as
// they are: of RFC 3986 the unreserved ones, of a form, of encodeURIComponent,
// of Python's quote, of a segment and of a path as RFC 3986 and as Go have them,
// and of encodeURI.
var stay = []string{
	"-._~", "*-._", "-._~!*'()", "-._~/",
	"-._~!$&'()*+,;=:@", "-._~$&+=:@", "-._~!$&'()*+,;=:@/", "-._~$&+,/:;=@", "-._~!$&'()*+,;=:@/?#",
}

func percentForms(text string) (all []string) {
	spaces := []string{"%20"}
	if strings.Contains(text, " ") {
		spaces = append(spaces, "+")
	}
	seen := make(map[string]bool) // what does not stay
	for _, kept := range stay {
		changed := strings.Map(func(c rune) rune {
			if isAlphanumeric(c) || strings.ContainsRune(kept, c) {
				return -1
			}
			return c
		}, text)
		if changed == "" || seen[changed] {
			continue
		}
		seen[changed] = true
		for _, space := range spaces {
			for _, hex := range []string{"0123456789ABCDEF", "0123456789abcdef"} {
				var b strings.Builder
				for _, c := range []byte(text) {
					switch {
					case c == ' ':
						b.WriteString(space)
					case strings.IndexByte(changed, c) >= 0:
						b.Write([]byte{'%', hex[c>>4], hex[c&15]})
					default:
						b.WriteByte(c)
					}
				}
				all = append(all, b.String())
			}
		}
	}
	return distinct(all)
}

func isAlphanumeric(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// escapers are how encoders of JSON differ in what they escape: JSON.stringify
// and Python; PHP; Go and Rails; Gson; System.Text.Json; serialize-javascript;
// PHP with its JSON_HEX flags.
var escapers = []struct {
	slash  bool   // "/" as "\/"
	hex    string // what becomes \u00xx
	format string
}{
	{},
	{slash: true},
	{hex: "<>&", format: `\u%04x`},
	{hex: "<>&='", format: `\u%04x`},
	{hex: "\"&'+<>`", format: `\u%04X`},
	{hex: "<>/", format: `\u%04X`},
	{slash: true, hex: "<>&'\"", format: `\u%04X`},
}

func jsonForms(text string) (all []string) {
	for i, e := range escapers {
		if i > 0 && !strings.ContainsAny(text, e.hex) && !(e.slash && strings.Contains(text, "/")) {
			continue // as the first one
		}
		if i == 0 && !strings.ContainsAny(text, `"\\`) {
			all = append(all, text)
			continue
		}
		var b strings.Builder
		for _, c := range []byte(text) {
			switch {
			case strings.IndexByte(e.hex, c) >= 0:
				fmt.Fprintf(&b, e.format, c)
			case c == '"', c == '\\', c == '/' && e.slash:
				b.WriteByte('\\')
				fallthrough
			default:
				b.WriteByte(c)
			}
		}
		all = append(all, b.String())
	}
	return distinct(all)
}

// markup are how encoders of HTML differ in what they escape: serializers of a
// DOM; Go; Python; PHP; Express; Handlebars; and those that OWASP recommends.
var markup = []*strings.Replacer{
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#039;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;", "`", "&#x60;", "=", "&#x3D;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;", "/", "&#x2F;"),
}

func htmlForms(text string) (all []string) {
	if !strings.ContainsAny(text, "&<>\"'`=/") {
		return nil
	}
	for _, m := range markup {
		all = append(all, m.Replace(text))
	}
	return all
}
