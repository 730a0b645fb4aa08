package main

import (
	"bytes"
	"encoding/binary"
	"image"
)

// icnsTypes are the names of the pictures in a macOS icon, each for one size
// in pixels. All are PNG, which macOS reads since 10.7.
var icnsTypes = []struct {
	name string
	size int
}{
	{"icp4", 16}, {"ic11", 32}, {"icp5", 32}, {"ic12", 64}, {"ic07", 128},
	{"ic13", 256}, {"ic08", 256}, {"ic14", 512}, {"ic09", 512}, {"ic10", 1024},
}

// encodeICNS makes a macOS icon from one picture for each size.
func encodeICNS(picture func(size int) *image.NRGBA) []byte {
	var all bytes.Buffer
	chunk := func(name string, content []byte) {
		all.WriteString(name)
		binary.Write(&all, binary.BigEndian, uint32(8+len(content)))
		all.Write(content)
	}
	for _, t := range icnsTypes {
		chunk(t.name, encodePNG(picture(t.size)))
	}
	var file bytes.Buffer
	file.WriteString("icns")
	binary.Write(&file, binary.BigEndian, uint32(8+all.Len()))
	file.Write(all.Bytes())
	return file.Bytes()
}
