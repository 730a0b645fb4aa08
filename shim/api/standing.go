package api

// An Internet says whether apps on the internet can reach this computer. It is
// derived from a TunnelStatus, and is what every page, the tray and the command
// line show.
type Internet struct {
	State string `json:"state"`
	Words string `json:"words"`         // the state for people: "Online"
	Why   string `json:"why,omitempty"` // why it is not online
	Next  string `json:"next,omitempty"`
	Link  string `json:"link,omitempty"` // a page to do it on
}

// The states of an Internet.
const (
	InternetOff         = "off"         // only apps on this computer can connect
	InternetConnecting  = "connecting"  // or trying again
	InternetWaiting     = "waiting"     // nothing has come through the owner's own tunnel yet
	InternetOnline      = "online"      // and no self-test says otherwise
	InternetUnreachable = "unreachable" // the tunnel is down, or leads elsewhere
	InternetPaused      = "paused"
)

// A Concern is something that the owner should look at: what it is, and the one
// thing to do about it.
type Concern struct {
	Kind   string `json:"kind"`
	Level  string `json:"level"`
	Slug   string `json:"slug,omitempty"` // of the server that it is about
	ID     string `json:"id,omitempty"`   // of the request, connected app or damaged record that it is about
	Words  string `json:"words"`          // what is wrong, in sentences that name the thing
	Next   string `json:"next,omitempty"` // what to do, where the button does not say it
	Button string `json:"button,omitempty"`
	Path   string `json:"path,omitempty"` // the page where it can be done
	// Do is where a form posts to that does it at once; "" if the button is a
	// link to Path.
	Do string `json:"-"`
	// Damage is the kind of a damaged record.
	Damage string `json:"-"`
}

// The kinds of a Concern, the most urgent first.
const (
	ConcernRequest      = "request"       // an app waits for an answer
	ConcernKeychain     = "keychain"      // locked or not usable
	ConcernDisk         = "disk"          // nothing can be saved
	ConcernPaused       = "paused"        // all calls are stopped
	ConcernDamaged      = "damaged"       // saved data cannot be read
	ConcernRejected     = "rejected"      // a server rejects its key
	ConcernKeyLost      = "key lost"      // a saved key cannot be used
	ConcernCannotStart  = "cannot start"  // a program did not start
	ConcernUnreachable  = "unreachable"   // a server cannot be reached
	ConcernInternet     = "internet"      // apps on the internet cannot connect
	ConcernTwoPlaces    = "two places"    // two programs use one sign-in
	ConcernMemory       = "memory"        // everything is lost at the end of this run
	ConcernStranded     = "stranded"      // apps use an earlier public address
	ConcernNotConfirmed = "not confirmed" // a program waits to be allowed
	ConcernUsage        = "usage"         // a monthly limit is near
	ConcernStopped      = "stopped"       // an app could not connect
	ConcernWaiting      = "waiting"       // the owner's own tunnel has passed nothing on yet
	ConcernKeyWanted    = "key wanted"    // a server asks for a key, and none is saved
)

// The levels of a Concern.
const (
	LevelError = "error"
	LevelWarn  = "warn"
	LevelInfo  = "info"
)
