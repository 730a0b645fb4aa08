package tray

import "time"

// A State is everything that the tray shows. Its texts are drawn as they are:
// the caller makes strangers' texts harmless, and cuts names to MaxName and
// other texts to MaxWords. The zero State is an app on its first run.
type State struct {
	Now       time.Time // what "2 minutes ago" counts from; Run fills it in
	Pending   []Request // authorization requests that wait for the owner
	Confirm   bool      // a page wants the owner's word to move keys to another computer
	Keychain  Keychain
	Tunnel    Tunnel
	DiskFull  bool // nothing can be saved
	Damaged   int  // saved things that cannot be read any more
	Paused    bool
	Stopped   Attempt    // the last app that failed to connect; zero if none did
	Endpoints []Endpoint // in display order
	Clients   []Client   // most recently used first
	More      int        // how many connected apps are not among Clients
	Login     Login
}

// A Request is an authorization request that waits for the owner: one of another
// device, or one whose page is open on this computer, in a browser that is not
// signed in.
type Request struct {
	ID   string
	Here bool // on this computer
	// App and Server are for one on this computer alone, and may be "". Anybody
	// may have sent one of another device, so nothing that came with it is shown
	// before the owner opens its page.
	App, Server string
}

// A Keychain is whether the encryption key is available.
type Keychain int

// The states of the keychain.
const (
	KeychainReady    Keychain = iota
	KeychainWaiting           // locked or not answering: calls wait
	KeychainUnusable          // not set up or not reachable: calls wait
	KeychainMemory            // there is none: nothing is kept
)

// A Tunnel is how the internet reaches us. Its states are those that pages and
// the command line show; see api.Internet.
type Tunnel struct {
	State TunnelState
	Host  string // host of the public origin, if there is one
	Words string // the state and what is wrong, for the owner; "" if the state says all
}

// A TunnelState is the state of the tunnel.
type TunnelState int

// The states of the tunnel.
const (
	TunnelUnset      TunnelState = iota // off: none was ever set up
	TunnelOffline                       // off: the owner closed it
	TunnelConnecting                    // opening, or retrying
	TunnelWaiting                       // nothing has come through the owner's own yet
	TunnelConnected                     // online
	TunnelNeedsYou                      // cannot be reached, and does not get better without the owner
)

// An Endpoint is one of the owner's servers.
type Endpoint struct {
	Slug     string
	Name     string
	State    string // for people: "Working"
	Key      Key
	LastUsed time.Time // zero if never
}

// A Key is whether an endpoint works, as far as the owner can do something about
// it, which mostly is about its key.
type Key int

// The states of a key.
const (
	KeyFine Key = iota
	KeyRejected
	KeyNeeded   // calls wait for a key
	KeyDamaged  // so do they; the saved one cannot be read any more
	KeyWanted   // none was ever saved, and each app may bring its own
	Unreachable // the server does not answer
	Unstarted   // the server is a program that does not start
	Unconfirmed // it is one that the owner has not allowed yet
)

// breaks reports whether calls fail until the owner does something.
func (k Key) breaks() bool {
	switch k {
	case KeyRejected, KeyNeeded, KeyDamaged, Unstarted:
		return true
	}
	return false
}

// A Client is a connected app.
type Client struct {
	Grant    string
	Name     string
	Endpoint string    // name of the endpoint it uses
	Since    time.Time // when it was connected; zero if that is not known
	LastUsed time.Time
	Old      bool // it was connected long ago, and is no news
}

// An Attempt is an app's failed attempt to connect.
type Attempt struct {
	Client string // "" unless the owner has approved it
	Whose  Party
	Time   time.Time // time of the last step; zero for no attempt
}

// A Party is who has to fix a problem.
type Party int

// The parties.
const (
	PartyUnknown Party = iota
	PartyOwner
	PartyClient
	PartyServer
	PartyTunnel
)

// Login is whether the program starts at login.
type Login int

// The settings of Login.
const (
	LoginUnknown Login = iota // cannot be set here, and is not shown
	LoginOff
	LoginOn
)

// A Verb is what an item does.
type Verb string

// The verbs. Those in the first group open a page and change nothing.
const (
	ReviewRequest Verb = "review" // ID: of the request; "" for all
	ConfirmMove   Verb = "confirm-move"
	FixKey        Verb = "fix-key"       // ID: slug
	OpenEndpoint  Verb = "open-endpoint" // ID: slug
	OpenTunnel    Verb = "open-tunnel"
	OpenCheck     Verb = "open-check"
	AddEndpoint   Verb = "add-endpoint"
	OpenDashboard Verb = "open-dashboard"
	OpenSettings  Verb = "open-settings"
	OpenAbout     Verb = "open-about"

	CopyURL      Verb = "copy-url" // ID: slug
	Revoke       Verb = "revoke"   // ID: grant; the owner has confirmed it
	Pause        Verb = "pause"
	Resume       Verb = "resume"
	GoOffline    Verb = "go-offline"
	GoOnline     Verb = "go-online"
	StartAtLogin Verb = "start-at-login"
	DoNotStart   Verb = "do-not-start" // at login
	Quit         Verb = "quit"
)

// An Action is what a click asks for. The zero Action is none.
type Action struct {
	Verb Verb
	ID   string
}
