package main

import (
	"image"
	"image/color"
	"image/draw"
)

// sheet shows every tray icon at its true size and enlarged, on matching
// panels, with the program's own icon below. It is for people to look at, not
// shipped.
func sheet() *image.NRGBA {
	type panel struct {
		variant string
		color   color.NRGBA
	}
	panels := []panel{
		{"light", rgb(0xf6f5f4)}, {"dark", rgb(0x1d1d20)},
		{"neutral", rgb(0xffffff)}, {"neutral", rgb(0xdcdad5)}, {"neutral", rgb(0x2e3436)}, {"neutral", rgb(0x000000)},
		{"template", rgb(0xe8e8e8)},
	}
	sizes := []int{16, 22, 24, 32, 64}
	const row, margin, enlarged = 76, 8, 4
	width := margin
	for _, s := range sizes {
		width += len(states) * (s + margin)
	}
	width += len(states) * (16*enlarged + margin)
	img := image.NewNRGBA(image.Rect(0, 0, width, row*len(panels)+160))
	draw.Draw(img, img.Bounds(), image.White, image.Point{}, draw.Src)
	for i, p := range panels {
		top := i * row
		draw.Draw(img, image.Rect(0, top, width, top+row), image.NewUniform(p.color), image.Point{}, draw.Src)
		x := margin
		for _, size := range sizes {
			for _, state := range states {
				put(img, tray(state, p.variant, size), x, top+(row-size)/2, 1)
				x += size + margin
			}
		}
		for _, state := range states {
			put(img, tray(state, p.variant, 16), x, top+(row-16*enlarged)/2, enlarged)
			x += 16*enlarged + margin
		}
	}
	x := margin
	for _, size := range []int{16, 22, 24, 32, 48, 64, 128} {
		put(img, app(size), x, row*len(panels)+margin, 1)
		x += size + 2*margin
	}
	put(img, app(16), x, row*len(panels)+margin, 6)
	put(img, app(24), x+110, row*len(panels)+margin, 5)
	return img
}

// put draws src with each pixel enlarged by times.
func put(dst draw.Image, src image.Image, x, y, times int) {
	b := src.Bounds()
	for i := range b.Dx() * times {
		for j := range b.Dy() * times {
			at := image.Rect(x+i, y+j, x+i+1, y+j+1)
			draw.Draw(dst, at, image.NewUniform(src.At(i/times, j/times)), image.Point{}, draw.Over)
		}
	}
}
