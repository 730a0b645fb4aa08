// Gen draws every icon of the program from one source, and writes them beside
// package icons:
//
//	go generate ./icons
//	go run ./icons/gen -sheet /tmp/sheet.png   # to look at them
package main

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", "icons", "the `folder` to write to")
	contact := flag.String("sheet", "", "draw all icons into one `file` instead")
	flag.Parse()
	if err := run(*out, *contact); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(out, contact string) error {
	if contact != "" {
		return os.WriteFile(contact, encodePNG(sheet()), 0o644)
	}
	for name, content := range files() {
		name = filepath.Join(out, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

var (
	traySizes = []int{16, 22, 24, 32, 48, 64}
	icoSizes  = []int{16, 20, 24, 32, 48, 64} // Windows at 100 to 400 percent
	appSizes  = []int{16, 22, 24, 32, 48, 64, 128, 256, 512}
)

// files draws all shipped icons, by name.
func files() map[string][]byte {
	all := make(map[string][]byte)
	for _, state := range states {
		for variant := range inks {
			for _, size := range traySizes {
				all[fmt.Sprintf("tray/%s-%s-%d.png", state, variant, size)] = encodePNG(tray(state, variant, size))
			}
		}
		for _, variant := range []string{"light", "dark", "neutral"} {
			var entries []*image.NRGBA
			for _, size := range icoSizes {
				entries = append(entries, tray(state, variant, size))
			}
			all[fmt.Sprintf("tray/%s-%s.ico", state, variant)] = encodeICO(entries)
		}
	}
	var entries []*image.NRGBA
	for _, size := range append(icoSizes, 128, 256) {
		entries = append(entries, app(size))
	}
	all["app/key2oauth.ico"] = encodeICO(entries)
	all["app/key2oauth.icns"] = encodeICNS(app)
	for _, size := range appSizes {
		all[fmt.Sprintf("app/key2oauth-%d.png", size)] = encodePNG(app(size))
	}
	return all
}

func encodePNG(img image.Image) []byte {
	var b bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.BestCompression}
	if err := enc.Encode(&b, img); err != nil {
		panic(err) // writing to a buffer never fails
	}
	return b.Bytes()
}
