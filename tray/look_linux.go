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

// picture returns the icon for the systray package. The panel's color is
// unknown, so it is the variant that works on every panel; the panel scales it
// down.
func picture(s icons.State) []byte {
	if p, ok := pictures.Load(s); ok {
		return p.([]byte)
	}
	p := forPanel(icons.PNG(s, icons.Neutral, 64))
	pictures.Store(s, p)
	return p
}

var pictures sync.Map // icons.State to []byte

// forPanel gives a PNG 16 bits per channel, such that the systray package
// sends panels the right colors. The package uses the low byte of each
// premultiplied channel as the color, which is right only for opaque pixels
// and discolors smooth edges. So forPanel puts the color that panels want,
// which is not premultiplied, into the low byte; the high byte stays correct
// for other readers.
func forPanel(b []byte) []byte {
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

// label escapes the character that marks an access key in menus.
func label(s string) string { return strings.ReplaceAll(s, "_", "__") }

// tapOpens reports whether a click on the icon opens the window. On most
// desktops it opens the menu. LXQt opens the menu with the other button only,
// and a click would do nothing.
func tapOpens() bool { return strings.Contains(os.Getenv("XDG_CURRENT_DESKTOP"), "LXQt") }
