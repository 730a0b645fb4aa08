package web

import (
	"fmt"
	"html/template"
	"strings"
	"sync"

	"github.com/key2oauth/key2oauth/shim/internal/apps"
)

// funcs is what templates may call.
var funcs = template.FuncMap{
	"t":        t,
	"name":     name,
	"words":    words,
	"long":     long,
	"short":    short,
	"host":     host,
	"hostHTML": hostHTML,
	"own":      ownPath,
	"ids":      describedBy,
	"link":     safeURL,
	"hand":     func(s *apps.Instruction) GuideStep { return GuideStep{Instruction: *s} },
	"typo":     typography.Replace,
	"target":   linkTarget,
	"part":     func(page Page, w *Waiting) any { return struct{ Page, Waiting any }{page, w} },
	"mg":       monogram,
	"server":   serverName,
	"with2":    func(page Page, more any) any { return struct{ Page, More any }{page, more} },
	"add":      func(a, b int) int { return a + b },
	"stepNames": func() []string {
		return []string{t("stp.add"), t("stp.connect"), t("stp.approve")}
	},
	"crumb": func(href, to, here string) Crumb { return Crumb{href, to, here} },
}

// Text returns the sentence of the catalogue that key names. Tests compare with
// it instead of repeating the sentence.
func Text(key string, args ...any) string { return t(key, args...) }

// t looks up a text of the catalogue and fills in args. The texts are written
// in ASCII, and typographic characters are put in here.
func t(key string, args ...any) string {
	s, ok := typeset()[key]
	if !ok {
		return key
	}
	if len(args) > 0 {
		s = fmt.Sprintf(s, args...)
	}
	return s
}

// typeset is the catalogue with typographic characters. A page of a thousand
// servers would put them in thousands of times.
var typeset = sync.OnceValue(func() map[string]string {
	all := make(map[string]string, len(text))
	for key, s := range text {
		all[key] = typography.Replace(s)
	}
	return all
})

var typography = strings.NewReplacer("'", "\u2019", "...", "\u2026", " - ", " \u2013 ")
