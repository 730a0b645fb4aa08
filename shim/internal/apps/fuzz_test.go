package apps

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

var safeWord = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// FuzzGuide fills every row for servers of any name, at any address: names stay
// words, files stay files, links stay links, and nothing gets out of its
// quotation marks.
func FuzzGuide(f *testing.F) {
	f.Add(awkward, local)
	f.Add("{name} {title} {address} {entry}", `http://x/"{name}"'\$(id)`)
	f.Add("**`\x00\xff\u2028\n", "")
	f.Fuzz(func(t *testing.T, title, address string) {
		name := SafeName(title, nil)
		if !safeWord.MatchString(name) || len(name) > 40 {
			t.Fatalf("SafeName(%q) = %q", title, name)
		}
		if again := SafeName(title, map[string]bool{name: true}); again == name || !safeWord.MatchString(again) {
			t.Fatalf("a second server called %q is %q too", title, again)
		}
		fill := filler{name: name, title: title, address: address}
		for _, a := range All() {
			fill.entry = fill.json(a.Entry, compact)
			for _, s := range flat(a.Steps) {
				if s.JSON != nil {
					var v any
					if err := json.Unmarshal([]byte(fill.json(s.JSON, indented)), &v); err != nil {
						t.Errorf("%s: %v", a.ID, err)
					} else if utf8.ValidString(address) && strings.Contains(string(s.JSON), "{address}") && !holds(v, address) {
						t.Errorf("%s: the address %q is lost in %s", a.ID, address, fill.json(s.JSON, indented))
					}
				}
				for _, text := range []string{s.TOML, s.YAML} {
					if got := fill.quoted(text); strings.Count(got, "\n") != strings.Count(text, "\n") {
						t.Errorf("%s: another line in %q", a.ID, got)
					}
				}
				if s.Link == "" {
					continue
				}
				link := fill.link(s.Link)
				u, err := url.Parse(link)
				if err != nil || strings.ContainsAny(link, "\"<>\\` '\t\n") {
					t.Errorf("%s: the link %q: %v", a.ID, link, err)
				} else if was, err := url.Parse(s.Link); err == nil && (u.Scheme != was.Scheme || u.Host != was.Host || u.Fragment != "") {
					t.Errorf("%s: the link leads to %q", a.ID, link)
				}
			}
		}
	})
}
