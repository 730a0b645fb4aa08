// Package api holds the words of the admin API: the objects that it answers
// with, the bodies that it takes, and the values that a field may have. The
// server, the command line, the tray and other programs share them.
//
// The API is served on the loopback address only, to programs that hold the
// admin token. Times are RFC 3339 in UTC. The package has types and constants,
// and nothing that does any work.
package api

// TokenFile is the file in the data folder that holds the admin token. A program
// sends it as "Authorization: Bearer TOKEN".
const TokenFile = "admin-token"

// An Error is the body of every answer that is not a success.
type Error struct {
	Error string `json:"error"` // a sentence for people: what is wrong, and what to do
	// CanForce says that the same request with "force" set is carried out.
	CanForce bool `json:"can_force,omitempty"`
}

// An OpenPage is the body of POST /api/open, which may be left out.
type OpenPage struct {
	// Page is servers, activity, internet, health, settings, or move for moving to
	// another computer; "" means servers.
	Page string `json:"page,omitempty"`
}

// An OwnerLink is the answer to POST /api/open.
type OwnerLink struct {
	Link string `json:"link"` // signs a browser in as the owner; works once, for 30 seconds
}

// A Deletion is the answer to DELETE /api/everything.
type Deletion struct {
	Left []string `json:"left"` // sentences: what is still there, and what to do about it
}

// Settings are the owner's settings. What is null cannot be changed here.
type Settings struct {
	AccessTTL int64   `json:"access_token_lifetime"` // seconds
	LogLevel  *string `json:"log_level"`
	Login     *bool   `json:"start_at_login"`
	UseProxy  *bool   `json:"use_proxy"` // the one that HTTPS_PROXY names, for https servers; null if it names none
	DataDir   string  `json:"data_dir"`
}

// A SettingsChange is the body of PATCH /api/settings; nil leaves a setting as
// it is.
type SettingsChange struct {
	AccessTTL *int64  `json:"access_token_lifetime,omitempty"` // seconds
	LogLevel  *string `json:"log_level,omitempty"`
	Login     *bool   `json:"start_at_login,omitempty"`
	UseProxy  *bool   `json:"use_proxy,omitempty"`
}

// The log levels.
const (
	LogDebug = "debug"
	LogInfo  = "info"
	LogWarn  = "warn"
	LogError = "error"
)

// A Backup is the body of POST /api/backup, which takes the admin token alone:
// it writes everything that is saved, without the encryption key, to a file.
type Backup struct {
	File    string `json:"file"`              // its full path
	Replace bool   `json:"replace,omitempty"` // a file of that name
}
