package guard

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// texts returns the forms of a field that have no escapes, and in which it is
// looked for with any; see escapes.
func texts(f Field) (all []text) {
	forms := base64Forms(f.Value)
	if strings.Contains(f.Value, " ") {
		forms = append(forms, strings.ReplaceAll(f.Value, " ", "+")) // in a form or a query
	}
	for _, form := range distinct(append(forms, f.Value)) {
		all = append(all, text{form: form})
	}
	if f.Prefix != "" {
		all = append(all, text{f.Prefix + f.Value, true})
	}
	for _, form := range distinct(htmlForms(f.Value)) {
		if form != f.Value {
			all = append(all, text{form, true}) // where a tool returns a page as JSON
		}
	}
	return all
}

// listed returns further forms of a field. Some may be equal.
func listed(f Field) (all []string) {
	whole := []string{f.Value, f.Prefix + f.Value}
	all = htmlForms(f.Prefix + f.Value)
	if strings.Contains(f.Value, `\`) && len(f.Value) <= maxListed {
		// Of backslashes in a row it is not clear which belong together.
		json := each(whole, jsonForms)
		all = append(append(all, json...), each(json, jsonForms)...)
	}
	return all
}

// maxListed is the length of a secret up to which its forms in JSON are listed.
const maxListed = 1 << 10

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
// DOM; Go; its templates; Python; .NET; PHP; Express; Handlebars; and those that
// OWASP recommends.
var markup = []*strings.Replacer{
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "+", "&#43;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;", "+", "&#x2B;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#039;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;", "`", "&#x60;", "=", "&#x3D;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;", "/", "&#x2F;"),
}

func htmlForms(text string) (all []string) {
	if !strings.ContainsAny(text, "&<>\"'`=/+") {
		return nil
	}
	for _, m := range markup {
		all = append(all, m.Replace(text))
	}
	return all
}
