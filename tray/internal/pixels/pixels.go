// Package pixels prepares icons for Linux panels, which get other bytes from the
// systray package than it reads.
package pixels

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
)

// ForPanel gives a PNG 16 bits per channel, such that the systray package
// sends panels the right colors. The package uses the low byte of each
// premultiplied channel as the color, which is right only for opaque pixels
// and discolors smooth edges. So ForPanel puts the color that panels want,
// which is not premultiplied, into the low byte; the high byte stays correct
// for other readers.
func ForPanel(b []byte) []byte {
	src, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		panic(err) // our own file is valid
	}
	img := image.NewNRGBA64(src.Bounds())
	for y := range src.Bounds().Dy() {
		for x := range src.Bounds().Dx() {
			c := color.NRGBAModel.Convert(src.At(x, y)).(color.NRGBA)
			if c.A == 0 {
				continue
			}
			alpha := uint32(c.A) * 0x101
			channel := func(v uint8) uint16 {
				want := uint32(v)*uint32(c.A)/0xff<<8 | uint32(v)
				for want > alpha {
					want -= 0x100
				}
				return uint16((want*0xffff + alpha - 1) / alpha) // times alpha, this is want again
			}
			img.SetNRGBA64(x, y, color.NRGBA64{R: channel(c.R), G: channel(c.G), B: channel(c.B), A: uint16(alpha)})
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		panic(err) // writing to a buffer never fails
	}
	return out.Bytes()
}
