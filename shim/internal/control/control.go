// Package control is all that the owner can do, whichever way the owner asks:
// by a page, the admin API, the tray or the command line. It adds servers and
// keys, disconnects apps, pauses, changes settings, exports, imports and
// deletes. Its errors are ready to be shown; see package problem.
package control

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/changes"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/formkeys"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/pulse"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/trial"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// A Login starts the program when its owner logs in, or stops doing so.
type Login interface {
	Enabled() (bool, error)
	Set(on bool) error
}

// Config is what a Control acts on. The functions must not be nil.
type Config struct {
	Vault    *vault.Vault
	Tokens   *oauth.Tokens
	Trials   *trial.Tester
	Pulse    *pulse.Pulse
	Timeline *timeline.Recorder
	Changes  *changes.Feed
	Login    Login          // nil where nothing can start at login
	UseProxy func(on bool)  // for https servers
	LogLevel *slog.LevelVar // nil where the level is fixed
	Dir      string         // the data folder, as it is shown
	Log      *slog.Logger

	// Struck counts the answers that held the key, by slug.
	Struck func() map[string]int

	// Own reports whether a host and a port lead to ourselves. It may be nil.
	Own          func(host, port string) bool
	LocalOrigin  func() string
	PublicOrigin func() string // empty while there is none

	Paused      func() bool
	Pause       func(paused bool) // stops calls, or lets them through again
	Forget      func()            // drops what calls remember of the state
	Steer       func()            // has the tunnel follow a change of the pause
	CloseTunnel func()
	RemoveToken func() error // of the admin API
}

// A Control carries out what the owner asks for. It is safe for concurrent use.
type Control struct {
	// FormKeys holds keys for forms that came back with an error.
	FormKeys *formkeys.Keys

	cfg      Config
	deleting sync.Mutex    // one deletion at a time
	deleted  chan struct{} // closed once everything is deleted
	quitting sync.Once
	quit     chan struct{} // closed once the owner wants the program to end
}

// New returns a Control.
func New(cfg Config) *Control {
	return &Control{FormKeys: formkeys.New(), cfg: cfg, deleted: make(chan struct{}), quit: make(chan struct{})}
}

// Quit ends the program once calls have finished, as Ctrl-C does.
func (c *Control) Quit() {
	c.cfg.Log.Info("the owner quits the program")
	c.quitting.Do(func() { close(c.quit) })
}

// Quitting returns a channel that is closed by Quit.
func (c *Control) Quitting() <-chan struct{} { return c.quit }

// Changed drops what calls remember of the state, and wakes those who show it.
func (c *Control) Changed() {
	c.cfg.Forget()
	c.cfg.Changes.Notify()
}

// Endpoint returns an endpoint by its slug.
func (c *Control) Endpoint(slug string) (endpoint.Endpoint, bool) { return c.cfg.Vault.Endpoint(slug) }

// Endpoints lists the endpoints, oldest first.
func (c *Control) Endpoints() []endpoint.Endpoint { return c.cfg.Vault.Endpoints() }

// Credentials lists the keys of an endpoint, those of single grants too.
func (c *Control) Credentials(slug string) []endpoint.Credential {
	return c.cfg.Vault.Credentials(slug)
}

// Look asks a server how it is, in the background: its page is open.
func (c *Control) Look(slug string) { c.cfg.Pulse.Look(slug) }

// Grant returns a grant, which may have ended: oauth.ErrNotFound.
func (c *Control) Grant(id string) (oauth.Grant, error) { return c.cfg.Vault.Grant(id) }

// Unlock asks the keychain again, which shows its prompt.
func (c *Control) Unlock() { c.cfg.Vault.Unlock() }

// Keep moves what is in memory to the keychain and the disk.
func (c *Control) Keep() error { return c.Explain(c.cfg.Vault.Keep()) }

// KeepInFile ends a run that keeps nothing, with the encryption key in a file.
func (c *Control) KeepInFile() error { return c.Explain(c.cfg.Vault.KeepInFile()) }

// Explain says what a failure of the vault means to a person.
func (c *Control) Explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, vault.ErrLocked):
		return problem.Unavailable(c.cfg.Vault.Keychain().Words, err)
	case errors.Is(err, vault.ErrNotFound):
		return ErrNoServer
	case vault.IsUnsure(err):
		c.Changed()
		return problem.Unavailable(web.TextDiskUnsure, err)
	case errors.Is(err, oauth.ErrUnavailable):
		return problem.Unavailable(web.TextDiskTrouble, err)
	}
	return err
}

// Disk puts the state of the disk into words.
func (c *Control) Disk() api.DiskStatus {
	st := api.DiskStatus{State: string(c.cfg.Vault.Disk())}
	switch st.State {
	case api.DiskFull:
		st.Words, st.Next = web.TextDiskFull, web.TextDiskFullNext
	case api.DiskFailing:
		st.Words, st.Next = web.TextDiskFailing, web.TextDiskFailingNext
	}
	return st
}

// Keychain says where the master key is.
func (c *Control) Keychain() api.Keychain {
	k := c.cfg.Vault.Keychain()
	return api.Keychain{Mode: string(k.Mode), State: string(k.State), Words: k.Words, CanKeep: k.CanKeep}
}
