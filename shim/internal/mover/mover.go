// Package mover moves everything to another computer: it packs a parcel, shows
// what a parcel would bring, and takes it in.
//
// Taking in only adds. Servers whose address is taken stay as they are, with
// their keys and apps, and the settings of the tunnel are adopted only where
// none was ever turned on. What belongs to one computer does not move:
// activity, sessions of browsers, the local port, the encryption key.
package mover

import (
	"cmp"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/parcel"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/reach"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// Config is what moves, and where to. All of it must be set.
type Config struct {
	Vault       *vault.Vault
	Control     *control.Control
	Reach       *reach.Reach
	Clients     *oauth.Clients
	LocalOrigin func() string
	Version     string
	Log         *slog.Logger
}

// A Mover packs and unpacks. It is safe for concurrent use.
type Mover struct {
	cfg Config

	mu      sync.Mutex
	preview *preview // the last file that was opened, until it is taken in
}

// A preview is a file that the owner is looking at.
type preview struct {
	id       string
	at       time.Time
	contents parcel.Contents // those that would be added
	internet parcel.Internet
}

// openFor is how long the owner may look at what a file brings.
const openFor = 15 * time.Minute

// New returns a Mover. It makes the clients known that came with an earlier
// parcel.
func New(cfg Config) *Mover {
	m := &Mover{cfg: cfg}
	m.cfg.Clients.SetMoved(m.clientKeys())
	return m
}

// A Plan is what a file brings.
type Plan struct {
	ID      string // for Unpack
	Made    time.Time
	Added   []parcel.Server
	Skipped []parcel.Server // at addresses that are taken
	Keys    int
	Missing int // keys that have to be pasted again
	Apps    int // connected to what is added
	// Elsewhere is where apps on the other computer knew us, if that is another
	// address than ours.
	Elsewhere string
	// Internet is the public origin that comes along, turned off.
	Internet string
}

// FileName is the name of a file that is made at a time.
func FileName(at time.Time) string { return "key2oauth-" + at.Format("2006-01-02") + ".age" }

// Pack returns the file of everything that moves.
func (m *Mover) Pack(passphrase endpoint.Secret) ([]byte, error) {
	if err := parcel.CheckPassphrase(passphrase); err != nil {
		return nil, problem.Invalid("passphrase", err)
	}
	c, err := m.cfg.Vault.Pack()
	if err != nil {
		return nil, m.cfg.Control.Explain(err)
	}
	c.Head = parcel.Head{
		Made: time.Now().UTC().Truncate(time.Second), Version: m.cfg.Version, LocalOrigin: m.cfg.LocalOrigin(),
		Internet: m.cfg.Reach.Pack(),
	}
	if ttl := m.cfg.Control.AccessTTL(); ttl != oauth.DefaultAccessTTL {
		c.AccessTTL = ttl
	}
	for _, k := range append([][32]byte{m.cfg.Clients.Key}, m.clientKeys()...) {
		c.ClientKeys = append(c.ClientKeys, endpoint.NewSecret(string(k[:])))
	}
	c.ClientKeys = c.ClientKeys[:min(len(c.ClientKeys), maxClientKeys)]
	file, err := parcel.Seal(c, passphrase)
	if err == nil {
		m.cfg.Log.Info("a file for another computer was made", "servers", len(c.Servers), "keys", len(c.Keys), "apps", len(c.Apps))
	}
	return file, err
}

// Open reads a file and returns what it would bring. It changes nothing.
func (m *Mover) Open(file []byte, passphrase endpoint.Secret) (Plan, error) {
	all, err := parcel.Open(file, passphrase)
	if err != nil {
		field := "file"
		if err.Error() == parcel.TextPassphrase {
			field = "passphrase"
		}
		return Plan{}, problem.Invalid(field, err)
	}
	o := &preview{id: rand.Text(), at: time.Now(), contents: parcel.Contents{Head: all.Head}, internet: all.Internet}
	p := Plan{ID: o.id, Made: all.Made}
	added := make(map[string]bool)
	for _, s := range all.Servers {
		if _, taken := m.cfg.Control.Endpoint(s.Slug); taken {
			p.Skipped = append(p.Skipped, s)
			continue
		}
		added[s.Slug] = true
		p.Added = append(p.Added, s)
	}
	o.contents.Servers = p.Added
	for _, k := range all.Keys {
		if added[k.Slug] {
			o.contents.Keys = append(o.contents.Keys, k)
			if k.Key.IsZero() {
				p.Missing++
			}
		}
	}
	for _, a := range all.Apps {
		if added[a.Slug] {
			o.contents.Apps = append(o.contents.Apps, a)
		}
	}
	p.Keys, p.Apps = len(o.contents.Keys), len(o.contents.Apps)
	if here := m.cfg.LocalOrigin(); all.LocalOrigin != here && slices.ContainsFunc(o.contents.Apps, func(a parcel.App) bool { return a.Origin == all.LocalOrigin }) {
		p.Elsewhere = all.LocalOrigin
	}
	if !m.cfg.Reach.WasOnline() && !m.cfg.Reach.KeepsAuthtoken() {
		p.Internet = cmp.Or(all.Internet.Domain, all.Internet.Seen, all.Internet.URL)
	}
	m.mu.Lock()
	m.preview = o
	m.mu.Unlock()
	return p, nil
}

// Unpack takes in what Open showed. The servers, keys and apps are added
// together, or none is.
func (m *Mover) Unpack(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.preview
	if o == nil || o.id != id || time.Since(o.at) > openFor {
		return httpx.New(http.StatusConflict, web.TextMoveAgain)
	}
	// The keys of clients come first: they do nothing alone, and without them the
	// apps would have to register again.
	if err := m.addClientKeys(o.contents.ClientKeys); err != nil {
		return m.cfg.Control.Explain(err)
	}
	if err := m.cfg.Vault.Unpack(o.contents); err != nil {
		if errors.Is(err, vault.ErrExists) {
			return httpx.New(http.StatusConflict, web.TextMoveAgain)
		}
		return m.cfg.Control.Explain(err)
	}
	m.preview = nil
	m.cfg.Log.Info("a file of another computer was taken in", "servers", len(o.contents.Servers), "keys", len(o.contents.Keys), "apps", len(o.contents.Apps))
	m.cfg.Control.Changed()
	if ttl := int64(o.contents.AccessTTL / time.Second); ttl > 0 && m.cfg.Control.AccessTTL() == oauth.DefaultAccessTTL {
		if err := m.cfg.Control.ChangeSettings(api.SettingsChange{AccessTTL: &ttl}); err != nil {
			return err
		}
	}
	for _, x := range o.contents.Servers {
		m.cfg.Control.Look(x.Slug)
	}
	_, err := m.cfg.Reach.Adopt(o.internet)
	m.cfg.Control.Changed()
	return err
}

// settingClientKeys holds the keys of clients that came along, one after the
// other.
const settingClientKeys = "client id keys of other computers"

// maxClientKeys bounds the keys of a file, and those that are kept.
const maxClientKeys = 8

func (m *Mover) clientKeys() (keys [][32]byte) {
	b, _ := m.cfg.Vault.Setting(settingClientKeys)
	for k := range slices.Chunk(b, 32) {
		if len(k) == 32 {
			keys = append(keys, [32]byte(k))
		}
	}
	return keys
}

// addClientKeys keeps keys that are new, the newest first.
func (m *Mover) addClientKeys(in []endpoint.Secret) error {
	var all [][32]byte
	for _, s := range in {
		if k := [32]byte([]byte(s.Reveal())); k != m.cfg.Clients.Key && !slices.Contains(all, k) {
			all = append(all, k)
		}
	}
	for _, k := range m.clientKeys() {
		if !slices.Contains(all, k) {
			all = append(all, k)
		}
	}
	all = all[:min(len(all), maxClientKeys)]
	var b []byte
	for _, k := range all {
		b = append(b, k[:]...)
	}
	if len(b) == 0 {
		return nil
	}
	if err := m.cfg.Vault.SetSetting(settingClientKeys, b); err != nil {
		return err
	}
	m.cfg.Clients.SetMoved(all)
	return nil
}
