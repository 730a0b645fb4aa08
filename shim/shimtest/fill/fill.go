// Package fill enlarges a data folder for measurements, as if many clients had
// used the program for years.
package fill

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
)

// Grants adds copies of the only grant in a data folder until there are n,
// each with its own tokens and as if its client had used a tool. The program
// must not run. Each copy is a transaction, so the folder is best in memory.
func Grants(dir string, n int) (err error) { return grants(dir, n, true) }

// More is like Grants, for a folder that Grants has filled before.
func More(dir string, n int) error { return grants(dir, n, false) }

func grants(dir string, n int, only bool) (err error) {
	v, err := vault.Open(vault.Config{Dir: dir, Mode: keychain.ModeFile})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	all, err := v.Grants()
	if err != nil {
		return err
	}
	if len(all) != 1 && only || len(all) == 0 {
		return fmt.Errorf("%s holds %d grants, want the one to copy", dir, len(all))
	}
	came, err := v.Timeline(all[0].ID)
	if err != nil {
		return err
	}
	now := time.Now()
	for range n - len(all) {
		g := all[0]
		g.ID = rand.Text()
		code := oauth.Token{Kind: oauth.Code, Expires: now.Add(5 * time.Minute), Used: true}
		if err := v.CreateGrant(g, digest(), code); err != nil {
			return err
		}
		err := v.UpdateGrant(g.ID, func(tx oauth.Tx) error {
			tx.SetToken(digest(), oauth.Token{Kind: oauth.AccessToken, Expires: now.Add(24 * time.Hour)})
			tx.SetToken(digest(), oauth.Token{Kind: oauth.RefreshToken, Expires: now.Add(90 * 24 * time.Hour)})
			return nil
		})
		if err != nil {
			return err
		}
		if came != nil {
			v.SaveTimeline(g.ID, came, true)
		}
	}
	return nil
}

func digest() oauth.Digest { return sha256.Sum256([]byte(rand.Text())) }
