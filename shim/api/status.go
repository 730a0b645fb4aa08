package api

import "time"

// A Status is the answer to GET /api/status, and the event "status" of GET
// /api/events.
type Status struct {
	Version        string           `json:"version"`
	LocalOrigin    string           `json:"local_origin"`
	PublicOrigin   *string          `json:"public_origin"`   // null while there is none
	PublicListener *string          `json:"public_listener"` // where the owner's own tunnel must lead
	Internet       Internet         `json:"internet"`        // whether apps on the internet can connect
	Tunnel         TunnelStatus     `json:"tunnel"`
	Keychain       Keychain         `json:"keychain"`
	Disk           DiskStatus       `json:"disk"`
	Damaged        []Damage         `json:"damaged,omitempty"` // saved data that cannot be read any more
	Notes          []Note           `json:"notes,omitempty"`   // what happened to saved data in this run, and was mended
	Paused         bool             `json:"paused"`
	SameUserCheck  bool             `json:"same_user_check"` // connections are checked to come from the owner's OS user
	Endpoints      int              `json:"endpoints"`
	Rejected       int              `json:"rejected"` // credentials that their upstream refuses
	Grants         int              `json:"grants"`
	Struck         int              `json:"struck,omitempty"` // calls in the activity whose answer held the key
	Pending        []PendingRequest `json:"pending"`          // authorization requests that wait for an answer
	// TwoPlaces are the apps whose sign-in is used from two places.
	TwoPlaces []TwoPlaces `json:"two_places,omitempty"`
	// Attempts are the last ones of apps that did not get connected and need a
	// person.
	Attempts []Attempt `json:"attempts"`
	// Concerns are what the owner should look at, the most urgent first.
	Concerns []Concern `json:"concerns,omitempty"`
}

// TwoPlaces says that two parties use one sign-in: two processes or back ends of
// an app, or someone with a copy of its token.
type TwoPlaces struct {
	Grant string    `json:"grant"`
	App   string    `json:"app"` // who it is, for people
	Slug  string    `json:"slug"`
	Since time.Time `json:"since"`
}

// A Keychain says where the master key is kept.
type Keychain struct {
	Mode  string `json:"mode"`
	State string `json:"state"`
	Words string `json:"words"` // for people: what is, and what to do
	// CanKeep says that a keychain has appeared in a run that keeps nothing.
	CanKeep bool `json:"can_keep,omitempty"`
}

// The modes of a Keychain.
const (
	ModeOS     = "os"
	ModeFile   = "file"
	ModeMemory = "memory"
)

// The states of a Keychain. In KeychainWaiting, KeychainLocked,
// KeychainNotSetUp and KeychainUnavailable, keys can neither be used nor saved.
const (
	KeychainReady       = "ready"
	KeychainWaiting     = "waiting" // it was asked and has not answered yet
	KeychainLocked      = "locked"
	KeychainNotSetUp    = "not_set_up"
	KeychainUnavailable = "unavailable"
	KeychainMemory      = "memory" // nothing is kept
	KeychainFile        = "file"
)

// Usable reports whether keys can be used and saved.
func (k Keychain) Usable() bool {
	switch k.State {
	case KeychainReady, KeychainFile, KeychainMemory:
		return true
	}
	return false
}

// A DiskStatus says whether changes can be saved.
type DiskStatus struct {
	State string `json:"state"`
	Words string `json:"words,omitempty"` // what is wrong
	Next  string `json:"next,omitempty"`  // what to do
}

// The states of a DiskStatus.
const (
	DiskReady   = "ready"
	DiskFull    = "full"
	DiskFailing = "failing" // for another reason than lack of room
)

// A Damage is something saved that cannot be read any more, because the disk lost
// a part of it. Everything else works. DELETE /api/damaged/{kind}/{id} deletes
// it.
type Damage struct {
	Kind   string `json:"kind"`
	ID     string `json:"id"`             // of a grant, an endpoint or a credential, or the name of a setting
	Name   string `json:"name,omitempty"` // as far as it can be read; it may be wrong
	Slug   string `json:"slug,omitempty"` // of the endpoint it seems to belong to
	Server string `json:"server,omitempty"`
	Words  string `json:"words"` // what that means
	Next   string `json:"next"`  // what to do
}

// A Note tells what happened to saved data while the program ran, and was mended.
type Note struct {
	Kind  string    `json:"kind"`
	Time  time.Time `json:"time"`
	Words string    `json:"words"`
}

// The kinds of a Note.
const (
	NoteStateLost = "state lost" // the data folder or the state file was removed or replaced
	NoteItemLost  = "item lost"  // the keychain's item was deleted or replaced
	NoteRepaired  = "repaired"   // a damaged record was written again from its copy
)

// The kinds of a Damage.
const (
	DamagedServer = "server"
	DamagedKey    = "key"
	// DamagedSealedKey is a key whose credential can still be read: pasting the key
	// again repairs it, so it cannot be deleted as damage.
	DamagedSealedKey = "sealed key"
	DamagedApp       = "app" // a grant, or one of its tokens
	DamagedSetting   = "setting"
	DamagedSecret    = "secret" // a credential of Key2OAuth itself, such as the authtoken of ngrok
	// DamagedReplaced is a random value of Key2OAuth itself that was damaged and
	// replaced, which is to be known, and then deleted. The ID says which.
	DamagedReplaced = "replaced"
)

// The values that a Damage of the kind DamagedReplaced names.
const (
	ValueClientIDKey = "client id key"  // recognizes apps that registered here
	ValueFormKey     = "form token key" // recognizes the forms of our pages
	ValueCookie      = "cookie name"    // of the owner's cookie
)

// A PendingRequest is an authorization request that waits at the consent page.
type PendingRequest struct {
	URL          string    `json:"url"`
	ClientName   string    `json:"client_name"` // as it calls itself
	App          string    `json:"app"`         // who it is, for people
	RedirectHost string    `json:"redirect_host"`
	ReturnsTo    string    `json:"returns_to"` // where the answer goes, for people
	Slug         string    `json:"slug,omitempty"`
	Created      time.Time `json:"created"`
	// Asked says that another device waits for the answer: its number must be
	// typed.
	Asked bool `json:"asked,omitempty"`
	// NeedsOwner says that the browsers which show its page are not signed in as
	// the owner's.
	NeedsOwner bool `json:"needs_owner,omitempty"`
	// Familiar says that the answer goes to an app on this computer, or to one
	// that the owner or this program knows.
	Familiar bool `json:"familiar,omitempty"`
}

// A Prompt is what waits for the owner. It holds nothing of what the other
// device sent, since anybody can send it.
type Prompt struct {
	Waiting int    // how many requests; 0 once none waits any more
	Path    string // the page that shows the first, for shim.Shim.OwnerLink
}

// A Call is one call that is over: an element of GET /api/activity, and the
// event "activity" of GET /api/events.
type Call struct {
	Time   time.Time `json:"time"` // of its end
	Slug   string    `json:"slug"`
	Grant  string    `json:"grant"`
	Client string    `json:"client"` // as it called itself when it was approved
	App    string    `json:"app"`    // who it is, for people
	Method string    `json:"method"` // of JSON-RPC, else of HTTP
	Tool   string    `json:"tool"`   // "" unless a tool was called
	Status int       `json:"status"`
	MS     int64     `json:"ms"`
	Struck int       `json:"struck,omitempty"` // how often the server's answer held the key, which the app did not get
	// Note is "differs" if the request's headers name something else than its
	// body, "headers" if only they name it, "odd" if the body can be read in two
	// ways, "malformed" if it is no message, and else absent.
	Note string `json:"note,omitempty"`
}

// Activity is the answer to GET /api/activity, the newest call first.
type Activity struct {
	Activity []Call `json:"activity"`
}
