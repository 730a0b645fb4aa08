package main

import (
	"bytes"
	"encoding/binary"
	"image/color"
	"image/png"

	"github.com/key2oauth/key2oauth/icons"
)

// The picture beside the first and the last page of the installer.
const wizardWidth, wizardHeight = 164, 314

// wizard draws it: the program's icon, on its own ground. Installers take
// bitmaps of 24 bits alone.
func wizard() ([]byte, error) {
	icon, err := png.Decode(bytes.NewReader(icons.App(128)))
	if err != nil {
		return nil, err
	}
	size := icon.Bounds().Dx()
	ground := color.NRGBAModel.Convert(icon.At(size/2, size/8)).(color.NRGBA)
	left, top := (wizardWidth-size)/2, 40
	const row = (wizardWidth*3 + 3) / 4 * 4
	var b bytes.Buffer
	b.WriteString("BM")
	for _, v := range []any{uint32(54 + row*wizardHeight), uint32(0), uint32(54),
		uint32(40), int32(wizardWidth), int32(wizardHeight), uint16(1), uint16(24),
		uint32(0), uint32(row * wizardHeight), int32(2835), int32(2835), uint32(0), uint32(0)} {
		binary.Write(&b, binary.LittleEndian, v)
	}
	for y := wizardHeight - 1; y >= 0; y-- { // from the bottom up
		line := make([]byte, row)
		for x := range wizardWidth {
			c := color.NRGBAModel.Convert(icon.At(x-left, y-top)).(color.NRGBA) // clear outside
			over := func(c, under uint8, alpha uint8) byte {
				return byte((int(c)*int(alpha) + int(under)*(255-int(alpha))) / 255)
			}
			line[3*x], line[3*x+1], line[3*x+2] = over(c.B, ground.B, c.A), over(c.G, ground.G, c.A), over(c.R, ground.R, c.A)
		}
		b.Write(line)
	}
	return b.Bytes(), nil
}
