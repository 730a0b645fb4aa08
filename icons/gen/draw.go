package main

import (
	"image"
	"image/color"
	"math"
)

// An ink has the colors of one variant of the tray icon.
type ink struct {
	plain, good, warn color.NRGBA
}

// inks are the variants. Where the panel's color is unknown, "neutral" has
// tones that stand out from both white and black. "template" is for macOS,
// which uses only the shape and colors it.
var inks = map[string]ink{
	"light":    {plain: rgb(0x20252e), good: rgb(0x0f7b52), warn: rgb(0xb65a00)},
	"dark":     {plain: rgb(0xf3f5f9), good: rgb(0x43dd98), warn: rgb(0xffb340)},
	"neutral":  {plain: rgb(0x7787a1), good: rgb(0x139a67), warn: rgb(0xd07600)},
	"template": {},
}

func rgb(v uint32) color.NRGBA {
	return color.NRGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 0xff}
}

// key is the key in app, with the heavier lines that a panel needs. It lies on
// the diagonal, which leaves the lower right to the badge.
func key() shape {
	const pen = 2.3
	return turned(4.35, 11.65, union(
		ring(0, 0, 2.95, pen),
		line(2.95, 0, 13.6, 0, pen),
		line(10.2, 0, 10.2, 3.2, pen),
	))
}

// A badge is the part of an icon that shows the state. It has its own shape in
// every state, so it does not depend on seeing colors.
type badge struct {
	outline shape // kept clear of the key
	fill    shape
	tint    func(ink) color.NRGBA
}

func plain(i ink) color.NRGBA { return i.plain }
func good(i ink) color.NRGBA  { return i.good }
func warn(i ink) color.NRGBA  { return i.warn }

// states are in the order of the contact sheet.
var states = []string{"connected", "connecting", "attention", "paused", "local"}

// badgeOf draws a state's badge for a size in pixels. "local", without a
// connection to the internet, has none.
func badgeOf(state string, size int) *badge {
	switch state {
	case "connected":
		d := disc(12.5, 12.5, 3.4)
		return &badge{d, d, good}
	case "connecting":
		dots := union(disc(8.7, 14.3, 1.4), disc(11.65, 14.3, 1.4), disc(14.6, 14.3, 1.4))
		if size == 16 {
			dots = union(box(8, 13, 10, 15, 0.3), box(11, 13, 13, 15, 0.3), box(14, 13, 16, 15, 0.3))
		}
		return &badge{dots, dots, plain}
	case "attention":
		if size < 22 { // too small for a sign with a mark in it
			mark := union(box(11.5, 7, 14, 12, 0), box(11.5, 13.5, 14, 16, 0))
			if size == 16 {
				mark = union(box(12, 7, 14, 12, 0), box(12, 14, 14, 16, 0))
			}
			return &badge{mark, mark, warn}
		}
		sign := triangle(11.5, 7.4, 16, 4.5, 0.9)
		mark := union(box(10.85, 10.1, 12.15, 13, 0.5), disc(11.5, 14.3, 0.8))
		return &badge{sign, minus(sign, mark, 0), warn}
	case "paused":
		bars := union(box(9.6, 9, 11.9, 15.9, 0.4), box(13.6, 9, 15.9, 15.9, 0.4))
		if size < 22 {
			bars = union(box(10, 9, 12, 16, 0), box(14, 9, 16, 16, 0))
		}
		return &badge{bars, bars, plain}
	}
	return nil
}

// gap is the space that the key keeps around a badge.
const gap = 1

// tray draws a state's icon for a panel.
func tray(state, variant string, size int) *image.NRGBA {
	colors, k := inks[variant], key()
	if variant == "template" {
		colors = ink{rgb(0), rgb(0), rgb(0)}
	}
	c := newCanvas(size)
	b := badgeOf(state, size)
	if b == nil {
		c.fill(k, colors.plain)
		return c.image()
	}
	c.fill(minus(k, b.outline, gap), colors.plain)
	c.fill(b.fill, b.tint(colors))
	return c.image()
}

// The colors of the program's own icon: the pages' light accent.
var (
	tileGround = rgb(0x0b6a5f)
	tileKey    = rgb(0xffffff)
)

// app draws the program's own icon, a key on a tile like the pages' mark and
// favicon.
func app(size int) *image.NRGBA {
	c := newCanvas(size)
	inset, pen := 0.75, 1.3 // a shadowless tile looks too large beside other programs' icons
	if size <= 24 {
		inset, pen = 0, 1.6 // a thinner line would turn gray
	}
	tile := box(0, 0, 16, 16, 4)
	mark := union(
		ring(6, 10, 2.3, pen),
		line(7.7, 8.3, 12, 4, pen),
		line(10.2, 5.8, 11.9, 7.5, pen),
	)
	by := (16 - 2*inset) / 16
	c.fill(scaled(by, tile), tileGround)
	c.fill(scaled(by, mark), tileKey)
	return c.image()
}

// A canvas collects premultiplied color, without rounding until the end.
type canvas struct {
	size int
	pix  [][4]float64 // red, green, blue, alpha
}

func newCanvas(size int) *canvas {
	return &canvas{size, make([][4]float64, size*size)}
}

func (c *canvas) fill(s shape, in color.NRGBA) {
	unit := 16 / float64(c.size)
	col := [3]float64{float64(in.R) / 255, float64(in.G) / 255, float64(in.B) / 255}
	for y := range c.size {
		for x := range c.size {
			a := coverage(s, float64(x)*unit, float64(y)*unit, unit)
			p := &c.pix[y*c.size+x]
			for i := range 3 {
				p[i] = col[i]*a + p[i]*(1-a)
			}
			p[3] = a + p[3]*(1-a)
		}
	}
}

// coverage returns how much of a pixel lies in s.
func coverage(s shape, x, y, unit float64) float64 {
	switch d := s(x+unit/2, y+unit/2); {
	case d > unit: // farther from the edge than the pixel's corners
		return 1
	case d < -unit:
		return 0
	}
	const n = 8
	in := 0
	for i := range n {
		for j := range n {
			if s(x+unit*(float64(i)+0.5)/n, y+unit*(float64(j)+0.5)/n) > 0 {
				in++
			}
		}
	}
	return float64(in) / (n * n)
}

func (c *canvas) image() *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, c.size, c.size))
	for i, p := range c.pix {
		if p[3] == 0 {
			continue
		}
		for j := range 3 {
			img.Pix[4*i+j] = uint8(math.Round(255 * p[j] / p[3]))
		}
		img.Pix[4*i+3] = uint8(math.Round(255 * p[3]))
	}
	return img
}
