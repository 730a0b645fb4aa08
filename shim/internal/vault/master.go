package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// Keep ends a run that keeps nothing. The master key goes into the keychain
// that has appeared, and everything else into the data folder.
func (v *Vault) Keep() error { return v.keep(v.keys.Keep) }

// KeepInFile does the same with a file in the data folder for the master key.
func (v *Vault) KeepInFile() error { return v.keep(v.keys.KeepInFile) }

func (v *Vault) keep(in func(reseal func(kept *keychain.MasterKey, adopt func()) error) error) error {
	return in(func(kept *keychain.MasterKey, adopt func()) error {
		err := v.file.Keep(v.path, func(t *transaction) error {
			if err := v.Reseal(t, kept); err != nil {
				return err
			}
			t.Then(adopt)
			return nil
		})
		if err != nil {
			return fmt.Errorf("%w: %w", oauth.ErrUnavailable, err)
		}
		return nil
	})
}

// settingPlace is what the keychain remembers.
const settingPlace = "keychain"

// chooseMode settles where the master key is, unless the caller says so: where it
// was in the last run. What earlier versions left does not say that, but which
// master key its records are under.
func (v *Vault) chooseMode() {
	if v.cfg.Mode != "" {
		return
	}
	remembered, _ := v.Setting(settingPlace)
	v.cfg.Mode = keychain.RememberedMode(v.cfg.Dir, remembered)
	if v.cfg.Mode == "" {
		v.cfg.Mode = keychain.ModeOS
		if m := keychain.ReadKeyFile(v.cfg.Dir); m != nil && v.SealedUnder(m) {
			v.cfg.Mode = keychain.ModeFile
		}
	}
}

// Start begins to look for the master key, and looks after the file. It ends with
// ctx or Close.
func (v *Vault) Start(ctx context.Context) {
	v.keys.Start(ctx)
	ctx, stop := context.WithCancel(ctx)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed || v.stop != nil {
		stop()
		return
	}
	v.stop = stop
	v.running.Go(func() { v.tend(ctx) })
}

// tendEvery is how often the file is searched for damage, and copied.
const tendEvery = 24 * time.Hour

// keepDaily makes a copy of the file, once a day.
func (v *Vault) keepDaily() {
	if err := v.file.KeepDaily(); err != nil {
		v.log.Warn("no copy of the state was made", "err", err)
	}
}

// itemEvery is how often the keychain is asked whether it still has its item.
const itemEvery = 10 * time.Minute

// tend looks after the file until ctx ends.
func (v *Vault) tend(ctx context.Context) {
	copies := time.NewTicker(time.Hour)
	defer copies.Stop()
	every, look, item := time.NewTicker(tendEvery), time.NewTicker(2*v.cfg.PollEvery), time.NewTicker(itemEvery)
	defer every.Stop()
	defer look.Stop()
	defer item.Stop()
	v.scrub()
	if v.existed {
		v.keepDaily()
	}
	for {
		select {
		case <-every.C:
			v.scrub()
		case <-copies.C:
			v.keepDaily()
		case <-look.C:
			if err := v.file.LookAfter(); err != nil {
				v.log.Debug("the state file is not in its place", "err", err)
			}
		case <-item.C:
			if err := v.keys.LookAfter(); err != nil {
				v.log.Warn("the keychain does not hold the encryption key any more", "err", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// Keychain reports where the master key is, or what we are waiting for.
func (v *Vault) Keychain() keychain.Status { return v.keys.Status() }

// Unlock asks the keychain again, which makes the desktop show its prompt again.
// It does not wait for the answer.
func (v *Vault) Unlock() { v.keys.Unlock() }

// awaitDecision waits until it is known which file is kept.
func (v *Vault) awaitDecision() error {
	if err := v.keys.AwaitDecision(); err != nil {
		return fmt.Errorf("%w: %w", oauth.ErrUnavailable, err)
	}
	return nil
}

// haveMaster makes sure that there is a master key to seal with. It is called
// before a transaction, since it may ask the keychain.
func (v *Vault) haveMaster() error {
	if err := v.awaitDecision(); err != nil {
		return err
	}
	switch _, err := v.keys.Need(); {
	case err == nil, errors.Is(err, ErrLocked):
		return err
	case errors.Is(err, keychain.ErrClosed):
		return ErrClosed
	default:
		return fmt.Errorf("%w: %w", oauth.ErrUnavailable, err)
	}
}
