package main

import (
	"bytes"
	"encoding/binary"
	"image"
)

// encodeICO makes a Windows icon from one picture in several sizes. Sizes up
// to 64 pixels are bitmaps, which every reader of icons knows; larger ones are
// PNG, as in Windows' own icons.
func encodeICO(pictures []*image.NRGBA) []byte {
	const header, entry = 6, 16
	var dir, data bytes.Buffer
	le := func(b *bytes.Buffer, values ...any) {
		for _, v := range values {
			binary.Write(b, binary.LittleEndian, v)
		}
	}
	le(&dir, uint16(0), uint16(1), uint16(len(pictures)))
	for _, img := range pictures {
		size := img.Rect.Dx()
		content := bitmap(img)
		if size > 64 {
			content = encodePNG(img)
		}
		side := uint8(size) // 256 is written as 0
		le(&dir, side, side, uint8(0), uint8(0), uint16(1), uint16(32),
			uint32(len(content)), uint32(header+entry*len(pictures)+data.Len()))
		data.Write(content)
	}
	return append(dir.Bytes(), data.Bytes()...)
}

// bitmap returns a device-independent bitmap in the form that icons use: the
// header's height includes the mask, rows run from the bottom up, and blue
// comes first.
func bitmap(img *image.NRGBA) []byte {
	size := img.Rect.Dx()
	maskRow := (size + 31) / 32 * 4
	var b bytes.Buffer
	for _, v := range []any{uint32(40), int32(size), int32(2 * size), uint16(1), uint16(32), uint32(0),
		uint32(4*size*size + maskRow*size), int32(0), int32(0), uint32(0), uint32(0)} {
		binary.Write(&b, binary.LittleEndian, v)
	}
	for y := size - 1; y >= 0; y-- {
		for x := range size {
			c := img.NRGBAAt(x, y)
			b.Write([]byte{c.B, c.G, c.R, c.A})
		}
	}
	// The mask is for screens without partial transparency.
	for y := size - 1; y >= 0; y-- {
		row := make([]byte, maskRow)
		for x := range size {
			if img.NRGBAAt(x, y).A < 128 {
				row[x/8] |= 0x80 >> (x % 8)
			}
		}
		b.Write(row)
	}
	return b.Bytes()
}
