// Package icons has the program's pictures: the tray icon in every state, and
// the program's own icon. icons/gen draws all of them from one source.
package icons

import (
	"embed"
	"fmt"
)

//go:generate go run ./gen -out .

// A State is what the tray icon shows at a glance. Each state has its own
// shape, so it does not depend on seeing colors.
type State string

// The states.
const (
	Connected  State = "connected"  // a disc: reachable from the internet
	Connecting State = "connecting" // three dots
	Attention  State = "attention"  // a warning sign: something needs the owner's attention
	Paused     State = "paused"     // two bars
	Local      State = "local"      // only the key: reachable from this computer only
)

// States lists all states.
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

// read panics for a name that no caller may use.
func read(name string) []byte {
	b, err := files.ReadFile(name)
	if err != nil {
		panic("icons: " + err.Error())
	}
	return b
}
