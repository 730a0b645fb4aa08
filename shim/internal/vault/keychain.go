package vault

import (
	"context"
	"fmt"
	"path/filepath"
)

// A KeychainState says where the master key is.
type KeychainState string

// The states. Only in StateWaiting, StateLocked, StateNotSetUp and
// StateUnavailable keys can neither be used nor saved.
const (
	StateReady       KeychainState = "ready"
	StateWaiting     KeychainState = "waiting" // it was asked and has not answered yet
	StateLocked      KeychainState = "locked"
	StateNotSetUp    KeychainState = "not_set_up"
	StateUnavailable KeychainState = "unavailable"
	StateMemory      KeychainState = "memory" // nothing is kept
	StateFile        KeychainState = "file"
)

// A Keychain is what may be said about the master key.
type Keychain struct {
	Mode  Mode          `json:"mode"`
	State KeychainState `json:"state"`
	Words string        `json:"words"` // for people: what is, and what to do
	// CanKeep says that a keychain has appeared in a run that keeps nothing:
	// Keep would keep everything.
	CanKeep bool `json:"can_keep,omitempty"`
}

// Keychain says where the master key is, or what it is waited for.
func (v *Vault) Keychain() Keychain {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.keychain
}

// words says what a state means, unless something more exact is known.
func (v *Vault) words(k Keychain) string {
	switch k.State {
	case StateReady:
		return "The keychain of this computer keeps the master key."
	case StateWaiting:
		return "Waiting for the keychain to answer."
	case StateLocked:
		return "Unlock your keyring: until then the saved API keys cannot be used."
	case StateNotSetUp:
		return `There is no default keyring yet. Create one, for instance in the program "Passwords and Keys"; until then no API key can be saved or used.`
	case StateUnavailable:
		return "No keychain can be reached from here, and the saved API keys need it. Start Key2OAuth from your desktop session, where the keyring is."
	case StateFile:
		return fmt.Sprintf("The master key lies in %s without a passphrase: whoever can read that file can read the saved API keys.", filepath.Join(v.cfg.Dir, keyFile))
	case StateMemory:
		switch {
		case v.cfg.Mode == ModeMemory:
			return "Nothing is kept, as --keychain memory asks for: endpoints, keys and connections are gone when the program ends."
		case k.CanKeep:
			return "A keychain has appeared. Keep everything in it, or endpoints, keys and connections are gone when the program ends."
		default:
			return "No keychain can be reached from here, so nothing is kept: endpoints, keys and connections are gone when the program ends. --keychain file keeps them without one."
		}
	}
	return ""
}

// setKeychain changes what Keychain says.
func (v *Vault) setKeychain(k Keychain) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.setKeychainLocked(k)
}

func (v *Vault) setKeychainLocked(k Keychain) {
	k.Mode = v.cfg.Mode
	if k.Words == "" {
		k.Words = v.words(k)
	}
	if k != v.keychain {
		v.keychain = k
		v.notify()
	}
}

// setMaster takes over a master key; nil says that there is none yet. What was
// opened stays open: it is the same key, or sealed under one that is gone.
func (v *Vault) setMaster(m *masterKey, k Keychain) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.setMasterLocked(m, k)
}

func (v *Vault) setMasterLocked(m *masterKey, k Keychain) {
	v.master, v.known = m, true
	for _, c := range v.creds {
		c.refused = false
	}
	v.setKeychainLocked(k)
	v.notify()
}

// Start begins to look for the master key, which in mode "os" may take as long
// as it takes the owner to unlock his keyring. It ends with ctx or Close.
func (v *Vault) Start(ctx context.Context) {
	if v.cfg.Mode != ModeOS {
		k := v.Keychain()
		v.log.Debug("the master key is not in a keychain", "mode", k.Mode, "meaning", k.Words)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed || v.stop != nil {
		return
	}
	ctx, v.stop = context.WithCancel(ctx)
	v.running.Go(func() { (&seeker{v: v, mayAsk: true}).run(ctx) })
}
