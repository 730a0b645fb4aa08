package main

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/png"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/icons"
)

// TestFilesAreDrawn holds the committed files to what the source draws. Pixels
// are compared, not bytes: another Go release may pack a PNG differently, and
// another processor rounds differently.
func TestFilesAreDrawn(t *testing.T) {
	drawn := files()
	dir := os.DirFS("..")
	for _, sub := range []string{"tray", "app"} {
		entries, err := fs.ReadDir(dir, sub)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if name := path.Join(sub, e.Name()); drawn[name] == nil {
				t.Errorf("%s is not drawn by this program", name)
			}
		}
	}
	for name, want := range drawn {
		got, err := fs.ReadFile(dir, name)
		if err != nil {
			t.Errorf("%v; run go generate ./icons", err)
			continue
		}
		a, b := pictures(t, name, got), pictures(t, name, want)
		if len(a) != len(b) {
			t.Errorf("%s holds %d pictures, want %d", name, len(a), len(b))
			continue
		}
		for i := range a {
			if d := difference(a[i], b[i]); d > 2 {
				t.Errorf("%s, picture %d differs from the source by %d in a channel; run go generate ./icons", name, i, d)
			}
		}
	}
}

// difference is the largest of any channel.
func difference(a, b *image.NRGBA) int {
	if a.Rect != b.Rect {
		return 256
	}
	worst := 0
	for i := range a.Pix {
		d := int(a.Pix[i]) - int(b.Pix[i])
		worst = max(worst, d, -d)
	}
	return worst
}

// pictures decodes a PNG or all entries of an icon.
func pictures(t *testing.T, name string, b []byte) []*image.NRGBA {
	t.Helper()
	if path.Ext(name) == ".png" {
		return []*image.NRGBA{decodePNG(t, name, b)}
	}
	var all []*image.NRGBA
	if path.Ext(name) == ".icns" {
		be := binary.BigEndian
		if string(b[:4]) != "icns" || int(be.Uint32(b[4:])) != len(b) {
			t.Fatalf("%s has the header %q", name, b[:8])
		}
		for b = b[8:]; len(b) > 0; b = b[be.Uint32(b[4:]):] {
			all = append(all, decodePNG(t, name, b[8:be.Uint32(b[4:])]))
		}
		return all
	}
	le := binary.LittleEndian
	for i := range int(le.Uint16(b[4:])) {
		e := b[6+16*i:]
		content := b[le.Uint32(e[12:]):][:le.Uint32(e[8:])]
		size := int(e[0])
		if size == 0 {
			size = 256
		}
		var img *image.NRGBA
		if bytes.HasPrefix(content, []byte("\x89PNG")) {
			img = decodePNG(t, name, content)
		} else {
			img = decodeBitmap(content)
		}
		if img.Rect.Dx() != size {
			t.Errorf("%s: the directory says %d pixels, the picture has %d", name, size, img.Rect.Dx())
		}
		all = append(all, img)
	}
	return all
}

func decodePNG(t *testing.T, name string, b []byte) *image.NRGBA {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	n, ok := img.(*image.NRGBA)
	if !ok {
		t.Fatalf("%s is a %T, want transparency", name, img)
	}
	return n
}

// decodeBitmap reads what the format says: blue first, bottom row first.
func decodeBitmap(b []byte) *image.NRGBA {
	size := int(binary.LittleEndian.Uint32(b[4:]))
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			p := b[40+4*((size-1-y)*size+x):]
			copy(img.Pix[img.PixOffset(x, y):], []byte{p[2], p[1], p[0], p[3]})
		}
	}
	return img
}

// TestStatesDifferInShape proves that the states can be told apart without
// color, at the smallest size: by the template, which has none.
func TestStatesDifferInShape(t *testing.T) {
	for i, a := range states {
		for _, b := range states[:i] {
			x, y := tray(a, "template", 16), tray(b, "template", 16)
			n := 0
			for j := 3; j < len(x.Pix); j += 4 {
				if d := int(x.Pix[j]) - int(y.Pix[j]); d > 128 || d < -128 {
					n++
				}
			}
			if n < 8 {
				t.Errorf("%s and %s differ in %d pixels of 256, want 8 or more", a, b, n)
			}
		}
	}
}

// TestContrast holds every color of a tray icon to 3:1 against the panels that
// it is for (WCAG 2.2, Success Criterion 1.4.11).
func TestContrast(t *testing.T) {
	panels := map[string][]uint32{
		"light":   {0xffffff, 0xdcdad5},
		"dark":    {0x000000, 0x2e3436},
		"neutral": {0xffffff, 0x000000, 0x1d1d20, 0xf6f5f4},
	}
	for variant, backgrounds := range panels {
		i := inks[variant]
		for _, bg := range backgrounds {
			for name, c := range map[string]luminance{"plain": lum(i.plain), "good": lum(i.good), "warn": lum(i.warn)} {
				if got := c.contrast(lum(rgb(bg))); got < 3 {
					t.Errorf("%s %s on #%06x has contrast %.2f, want 3 or more", variant, name, bg, got)
				}
			}
		}
	}
}

// TestNamesAgree holds package icons to what is drawn here.
func TestNamesAgree(t *testing.T) {
	var names []string
	for _, s := range icons.States {
		names = append(names, string(s))
		for _, v := range []icons.Variant{icons.Light, icons.Dark, icons.Neutral, icons.Template} {
			for _, size := range icons.TraySizes {
				if b := icons.PNG(s, v, size); decodePNG(t, "PNG", b).Rect.Dx() != size {
					t.Errorf("PNG(%s, %s, %d) has another size", s, v, size)
				}
			}
		}
		for _, v := range []icons.Variant{icons.Light, icons.Dark, icons.Neutral} {
			if got := len(pictures(t, "x.ico", icons.ICO(s, v))); got != len(icoSizes) {
				t.Errorf("ICO(%s, %s) has %d sizes, want %d", s, v, got, len(icoSizes))
			}
		}
	}
	if !slices.Equal(names, states) {
		t.Errorf("icons.States is %s, drawn are %s", strings.Join(names, " "), strings.Join(states, " "))
	}
	for _, size := range icons.AppSizes {
		if got := decodePNG(t, "App", icons.App(size)).Rect.Dx(); got != size {
			t.Errorf("App(%d) has %d pixels", size, got)
		}
	}
	if got := len(pictures(t, "x.ico", icons.AppICO())); got != len(icoSizes)+2 {
		t.Errorf("AppICO has %d sizes, want %d", got, len(icoSizes)+2)
	}
}
