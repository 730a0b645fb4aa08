// Package icons holds the pictures of the program: the tray icon in every
// state, and its own icon. All are drawn by icons/gen from one source.
package icons

import (
	"embed"
	"fmt"
)

//go:generate go run ./gen -out .

// A State is what the tray icon tells at a glance. Each has a shape of its own,
// so that nobody needs to see colors.
type State string

// The states.
const (
	Connected  State = "connected"  // a disc: the outside reaches us
	Connecting State = "connecting" // three dots
	Attention  State = "attention"  // a warning sign: something needs the owner
	Paused     State = "paused"     // two bars
	Local      State = "local"      // the key alone: only programs on this machine reach us
)

// States lists all of them.
var States = []State{Connected, Connecting, Attention, Paused, Local}

// A Variant is what an icon is drawn for.
type Variant string

// The variants.
const (
	Light    Variant = "light"    // dark lines for light panels
	Dark     Variant = "dark"     // light lines for dark panels
	Neutral  Variant = "neutral"  // for panels whose color is not known
	Template Variant = "template" // for macOS: black, to be colored by the system
)

// The sizes of PNG and App.
var (
	TraySizes = []int{16, 22, 24, 32, 48, 64}
	AppSizes  = []int{16, 22, 24, 32, 48, 64, 128, 256, 512}
)

// The icon for macOS is for its bundle alone.
//
//go:embed tray app/*.png app/*.ico
var files embed.FS

// PNG returns a tray icon. The size is one of TraySizes.
func PNG(s State, v Variant, size int) []byte {
	return read(fmt.Sprintf("tray/%s-%s-%d.png", s, v, size))
}

// ICO returns a tray icon for Windows, in all sizes. The variant is any but
// Template.
func ICO(s State, v Variant) []byte {
	return read(fmt.Sprintf("tray/%s-%s.ico", s, v))
}

// App returns the program's own icon. The size is one of AppSizes.
func App(size int) []byte { return read(fmt.Sprintf("app/key2oauth-%d.png", size)) }

// AppICO returns the program's own icon for Windows, in all sizes.
func AppICO() []byte { return read("app/key2oauth.ico") }

// read panics for a name that no caller may ask for.
func read(name string) []byte {
	b, err := files.ReadFile(name)
	if err != nil {
		panic("icons: " + err.Error())
	}
	return b
}
