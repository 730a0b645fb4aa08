package main

import (
	"image/color"
	"math"
)

// A luminance is relative, as WCAG 2.2 defines it.
type luminance float64

func lum(c color.NRGBA) luminance {
	linear := func(v uint8) float64 {
		if f := float64(v) / 255; f > 0.04045 {
			return math.Pow((f+0.055)/1.055, 2.4)
		} else {
			return f / 12.92
		}
	}
	return luminance(0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B))
}

func (l luminance) contrast(other luminance) float64 {
	hi, lo := max(l, other), min(l, other)
	return float64((hi + 0.05) / (lo + 0.05))
}
