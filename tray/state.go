package tray

import "time"

// A State is all that the tray shows. Its texts are drawn as they are: the
// caller makes those that strangers wrote harmless, and cuts names to MaxName
// and other texts to MaxWords. The zero State is an app on its first run.
type State struct {
	Now       time.Time // what "2 minutes ago" counts from; Run fills it in
	Pending   []Request // authorization requests that wait for the owner
	Keychain  Keychain
	Tunnel    Tunnel
	DiskFull  bool // nothing can be saved
	Paused    bool
	Stopped   Attempt    // the last app that did not get connected; zero if all did
	Endpoints []Endpoint // in the order to show them in
	Clients   []Client   // the most recently used first
	Login     Login
}

// A Request is an authorization request that waits for the owner.
type Request struct {
	ID     string
	Client string
}

// A Keychain says whether the encryption key is at hand.
type Keychain int

// The states of the keychain.
const (
	KeychainReady    Keychain = iota
	KeychainWaiting           // locked, or not answering: calls wait
	KeychainUnusable          // not set up, or out of reach: calls wait
	KeychainMemory            // there is none, and nothing is kept
)

// A Tunnel says how the outside reaches us.
type Tunnel struct {
	State TunnelState
	Host  string // of the public origin, if there is one
	Words string // what is wrong, for the owner; "" if the state says all
}

// A TunnelState is what the tunnel does.
type TunnelState int

// The states of the tunnel.
const (
	TunnelUnset      TunnelState = iota // none was ever set up
	TunnelOffline                       // the owner closed it
	TunnelConnecting                    // opening, or trying again by itself
	TunnelConnected
	TunnelNeedsYou // it does not open again without the owner
)

// An Endpoint is one MCP URL of ours.
type Endpoint struct {
	Slug     string
	Name     string
	Key      Key
	LastUsed time.Time // zero if never
}

// A Key says whether an endpoint's saved key works.
type Key int

// The states of a key.
const (
	KeyFine Key = iota
	KeyRejected
	KeyNeeded // calls wait for a key
)

// A Client is a connection that somebody approved.
type Client struct {
	Grant    string
	Name     string
	Endpoint string // the name of the endpoint that it uses
	LastUsed time.Time
}

// An Attempt is an app's try to be connected, which came to nothing.
type Attempt struct {
	Client string
	Whose  Whose
	Time   time.Time // when the last thing happened; zero for no attempt
}

// Whose says who can do something about it.
type Whose int

// Who that can be.
const (
	WhoseUnknown Whose = iota
	WhoseYours
	WhoseClient
	WhoseServer
	WhoseTunnel
)

// Login says whether the program starts at login.
type Login int

// The settings of Login.
const (
	LoginUnknown Login = iota // it cannot be set here, and is not shown
	LoginOff
	LoginOn
)

// A Verb is what an item does.
type Verb string

// The verbs. Those in the first group open a page and change nothing.
const (
	ReviewRequest Verb = "review"        // ID: of the request; "" for all
	FixKey        Verb = "fix-key"       // ID: slug
	OpenEndpoint  Verb = "open-endpoint" // ID: slug
	OpenTunnel    Verb = "open-tunnel"
	OpenCheck     Verb = "open-check"
	AddEndpoint   Verb = "add-endpoint"
	OpenDashboard Verb = "open-dashboard"

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
