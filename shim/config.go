package shim

import (
	"io"
	"log/slog"
	"net/http"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/tunnel"
)

// Config is what a Shim is made from.
type Config struct {
	// Dir is the data folder. The caller holds its lock: two programs on one
	// folder would each believe their own memory.
	Dir string
	// Version is shown on pages and in the status; empty means "dev".
	Version string
	// RuntimeNote says what is wrong with the Go runtime that the program was
	// built with, as the end of a sentence; mostly empty.
	RuntimeNote string
	// Keychain is where the master key is kept: api.ModeOS, api.ModeFile or
	// api.ModeMemory. Empty means where it was kept in the last run, and on a
	// first run api.ModeOS, or api.ModeMemory on a computer without a keychain.
	Keychain string
	// KeychainHelper is the command that runs RunKeychainHelper in a process of
	// its own. It is used on Linux, where the keychain and the tray disturb each
	// other in one process; empty means in this process.
	KeychainHelper []string
	// Prompter tells the owner that a request waits for an answer. Without one,
	// the request shows on the home page and in the status.
	Prompter Prompter
	Tunnel   TunnelConfig
	// Outside returns the client that goes out to the internet as any other
	// client does, for an examination and for the test of a tunnel that has
	// opened; nil means http.DefaultClient's way.
	Outside func() *http.Client
	// Login is shown among the settings; nil hides it.
	Login Login
	// LogLevel is the level of Log if the owner may change it while the program
	// runs; nil hides the setting.
	LogLevel *slog.LevelVar
	// LogFile is where the log is kept, for people; "" means nowhere.
	LogFile string
	// Licenses writes the licenses of what the program contains; nil means that
	// there is no page of them.
	Licenses func(w io.Writer) error
	// Sample makes a sample MCP server that wants this key, for owners who have
	// nothing to connect yet; nil means that none is offered.
	Sample func(key string) http.Handler
	// Rescue writes again what the caller keeps in Dir, after that was removed or
	// replaced while the Shim was open. It may be nil.
	Rescue func() error
	Log    *slog.Logger // nil means slog.Default()
}

// TunnelConfig is what the program says about the tunnel when it starts.
type TunnelConfig struct {
	// New returns the tunnel that makes a wish come true, which is not
	// tunnel.ProviderOff. A nil New means that this program has no tunnel.
	New func(tunnel.Wish) tunnel.Tunnel
	// Mode is "auto" or "" for what the owner last turned on, and else a
	// provider of package tunnel.
	Mode string
	// URL is the public URL, with Mode tunnel.ProviderExternal or
	// tunnel.ProviderNgrok.
	URL string
	// Preset is the ID of the program that makes the owner's own tunnel, one of
	// those in package tunnel/external; "" means what was last chosen.
	Preset string
	// Authtoken is for ngrok. It turns nothing on, and is kept once it worked.
	Authtoken tunnel.Authtoken
	// Listener is the address where the owner's own tunnel leads; "" means the
	// default one of package tunnel/external.
	Listener string
	// Tell is told each status of the tunnel, and what the last self-test found if
	// that was trouble. It may be nil.
	Tell func(st tunnel.Status, test string)
}

// A Prompter tells the owner that something waits. It must not block, and must
// not open anything: the one who waits may be a stranger, who chose the moment.
type Prompter interface {
	// Prompt is called when requests begin to wait for the owner, and with a
	// zero Prompt once no request is waiting. It is not called for each request
	// that comes in between.
	Prompt(api.Prompt)
}

// A Login says whether the program starts when its owner logs in, and changes
// that. How it is done depends on the desktop.
type Login interface {
	Enabled() (bool, error)
	Set(on bool) error
}
