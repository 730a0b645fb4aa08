package web

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// palette reads the custom properties of the style sheet's two color schemes.
func palette(t *testing.T) (light, dark map[string][3]float64) {
	t.Helper()
	before, after, ok := strings.Cut(components, "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("the style sheet has no dark scheme")
	}
	after, _, _ = strings.Cut(after, "\n}\n")
	return colors(t, before), colors(t, after)
}

func colors(t *testing.T, css string) map[string][3]float64 {
	t.Helper()
	all := make(map[string][3]float64)
	for _, m := range regexp.MustCompile(`--([a-z0-9-]+): #([0-9a-f]{6})`).FindAllStringSubmatch(css, -1) {
		n, err := strconv.ParseUint(m[2], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		all[m[1]] = [3]float64{float64(n>>16) / 255, float64(n>>8&255) / 255, float64(n&255) / 255}
	}
	return all
}

// contrast is the ratio of WCAG 2.2, "contrast ratio".
func contrast(a, b [3]float64) float64 {
	l := func(c [3]float64) float64 {
		for i, v := range c {
			if v <= 0.04045 {
				c[i] = v / 12.92
			} else {
				c[i] = math.Pow((v+0.055)/1.055, 2.4)
			}
		}
		return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2]
	}
	x, y := l(a)+0.05, l(b)+0.05
	return max(x/y, y/x)
}

// TestContrast checks WCAG 2.2: 1.4.3 for text, and 1.4.11 for the borders of
// fields and the focus ring.
func TestContrast(t *testing.T) {
	const text, edge = 4.5, 3
	pairs := []struct {
		fg, bg string
		want   float64
	}{
		{"ink", "bg", text}, {"ink", "card", text}, {"ink", "sunk", text}, {"ink", "warn-bg", text}, {"ink", "err-bg", text}, {"ink", "acc-t", text},
		{"soft", "bg", text}, {"soft", "card", text}, {"soft", "sunk", text}, {"soft", "acc-t", text}, {"soft", "err-bg", text}, {"soft", "warn-bg", text},
		{"acc", "bg", text}, {"acc", "card", text}, {"acc", "sunk", text}, {"acc2", "acc-t", text},
		{"on", "acc", text}, {"on", "acc2", text},
		{"ok", "card", text}, {"ok", "sunk", text}, {"warn", "card", text}, {"err", "card", text}, {"err", "err-bg", text}, {"err", "bg", text},
		{"off", "card", edge}, {"warn", "warn-bg", edge},
		{"edge", "card", edge}, {"edge", "bg", edge}, {"acc", "card", edge},
		{"focus", "card", edge}, {"focus", "bg", edge}, {"focus", "sunk", edge},
	}
	light, dark := palette(t)
	for _, scheme := range []struct {
		name   string
		colors map[string][3]float64
	}{{"light", light}, {"dark", dark}} {
		for _, p := range pairs {
			fg, ok := scheme.colors[p.fg]
			bg, ok2 := scheme.colors[p.bg]
			if !ok || !ok2 {
				t.Errorf("%s: no color %s or %s", scheme.name, p.fg, p.bg)
				continue
			}
			if got := contrast(fg, bg); got < p.want {
				t.Errorf("%s: %s on %s: got %.2f, want %.1f", scheme.name, p.fg, p.bg, got, p.want)
			}
		}
	}
	if len(light) != len(dark) {
		t.Errorf("got %d light and %d dark colors, want as many", len(light), len(dark))
	}
}

func TestContrastFormula(t *testing.T) {
	if got := contrast([3]float64{}, [3]float64{1, 1, 1}); math.Abs(got-21) > 0.01 {
		t.Errorf("black on white: got %.2f, want 21", got)
	}
	if got := contrast([3]float64{0.5, 0.5, 0.5}, [3]float64{1, 1, 1}); math.Abs(got-3.98) > 0.05 {
		t.Errorf("gray on white: got %.2f, want about 3.98", got)
	}
}

// TestNothingFromElsewhere: the style sheet and the script load nothing.
func TestNothingFromElsewhere(t *testing.T) {
	for name, s := range map[string]string{"page.css": styleSheet, "page.js": script} {
		s = strings.ReplaceAll(strings.ReplaceAll(s, `fetch("/live"`, ""), `fetch("/live/bar"`, "") // reload our own page
		for _, bad := range []string{"url(", "@import", "http:", "https:", "fetch(", "XMLHttpRequest", "innerHTML", "eval(", "</"} {
			if strings.Contains(s, bad) {
				t.Errorf("%s contains %q", name, bad)
			}
		}
	}
}

// TestCatalogue: every text is used, and every text that is requested exists.
func TestCatalogue(t *testing.T) {
	var sources strings.Builder
	files, err := templateFiles.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := templateFiles.ReadFile("templates/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		sources.Write(b)
	}
	asked := make(map[string]bool)
	for _, m := range regexp.MustCompile(`\bt "([^"]+)"`).FindAllStringSubmatch(sources.String(), -1) {
		asked[m[1]] = true
		if _, ok := text[m[1]]; !ok {
			t.Errorf("no text %q", m[1])
		}
	}
	for _, key := range goTexts(t) {
		asked[key] = true
		if _, ok := text[key]; !ok && !strings.HasSuffix(key, ".") {
			t.Errorf("no text %q", key)
		}
	}
	for key := range text {
		prefix := key[:strings.LastIndexByte(key, '.')+1]
		if !asked[key] && !asked[prefix] {
			t.Errorf("text %q is not used", key)
		}
	}
	// Visible words of a template belong in the catalogue.
	words := regexp.MustCompile(`>[^<{]*[A-Za-z]{3,}[^<{]*<`)
	if m := words.FindString(regexp.MustCompile(`\{\{.*?\}\}|&[a-z]+;`).ReplaceAllString(sources.String(), "")); m != "" {
		t.Errorf("a template has words of its own: %q", m)
	}
}

// goTexts lists the keys that the Go files request. A key that ends in a dot
// stands for all keys that begin with it.
func goTexts(t *testing.T) []string {
	t.Helper()
	var keys []string
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	key := regexp.MustCompile(`"((?:[a-z]+\.)+[a-z0-9.-]*)"`)
	for _, f := range files {
		if strings.HasPrefix(f, "text") || strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range key.FindAllStringSubmatch(string(b), -1) {
			keys = append(keys, m[1])
		}
	}
	return keys
}
