package tray

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"strings"
	"sync"

	"github.com/key2oauth/key2oauth/icons"
)

// picture is the icon as the systray package wants it. The color of a panel
// cannot be known, so it is the variant that every panel can show; the panel
// scales it down.
func picture(s icons.State) []byte {
	if p, ok := pictures.Load(s); ok {
		return p.([]byte)
	}
	p := forPanel(icons.PNG(s, icons.Neutral, 64))
	pictures.Store(s, p)
	return p
}

var pictures sync.Map // of icons.State to []byte

// forPanel gives a PNG 16 bits per channel, such that the systray package sends
// panels the right colors. It takes the low byte of each premultiplied channel
// for the color, which is true of opaque pixels alone and makes smooth edges
// motley. So the low byte is made the color that panels want, which is not
// premultiplied; the high byte stays what it is, for whoever reads that.
func forPanel(b []byte) []byte {
	src, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		panic(err) // our own file
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
				return uint16((want*0xffff + alpha - 1) / alpha) // which times alpha is want again
			}
			img.SetNRGBA64(x, y, color.NRGBA64{R: channel(c.R), G: channel(c.G), B: channel(c.B), A: uint16(alpha)})
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		panic(err) // a buffer takes everything
	}
	return out.Bytes()
}

// label escapes what a menu would take for the mark of an access key.
func label(s string) string { return strings.ReplaceAll(s, "_", "__") }

// tapOpens reports whether a click on the icon is to open the dashboard. On
// most desktops it opens the menu. LXQt opens the menu by the other button
// alone, and would do nothing.
func tapOpens() bool { return strings.Contains(os.Getenv("XDG_CURRENT_DESKTOP"), "LXQt") }
