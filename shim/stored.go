package shim

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/atomicfile"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/ring"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
)

// What the data folder holds, and what can be done with it while no Shim runs
// on it.

const settingAddr = "local address"

// RememberedAddr is the loopback address that RememberAddr kept, or empty on a
// first run.
func (s *Shim) RememberedAddr() string {
	b, _ := s.vault.Setting(settingAddr)
	return string(b)
}

// RememberAddr keeps addr for the next start: apps on this computer know it.
func (s *Shim) RememberAddr(addr string) error {
	return s.vault.SetSetting(settingAddr, []byte(addr))
}

// StoredAddr is the loopback address that apps on this computer know, while no
// program serves it. It is empty if none ever did. Its errors are sentences for
// people about the data folder, in which nothing is changed.
func StoredAddr(dir string) (string, error) {
	if !vault.Exists(dir) {
		return "", nil
	}
	v, err := vault.Open(vault.Config{Dir: dir})
	if err != nil {
		return "", err
	}
	b, _ := v.Setting(settingAddr)
	return string(b), v.Close()
}

// ErrDeleted is what ServeLocal returns after the owner has had everything
// deleted.
var ErrDeleted = errors.New("everything was deleted, as its owner wished")

// Belongings says in phrases for people what DeleteEverything deletes of a data
// folder, whether a Shim runs on it or not.
func Belongings(dir string) []string {
	all := []string{"everything in " + dir + ": servers, keys, connected apps, activity and settings"}
	own := vault.Owned(dir)
	for _, item := range own.Items {
		all = append(all, fmt.Sprintf("the encryption key in the keychain: the item \"key2oauth\" (%s)", item))
	}
	if own.KeyFile {
		all = append(all, "the encryption key in "+filepath.Join(dir, keychain.KeyFile))
	}
	return all
}

// Backup writes the state of a data folder that no Shim uses to a file.
func Backup(dir, file string) error { return vault.Backup(dir, file) }

// Restore puts a backup in the place of the state of a data folder that no Shim
// uses. All sign-ins end, unless keepApps says otherwise: a backup does not know
// which apps were disconnected since. kept names what was there before; "" if
// there was nothing.
func Restore(dir, file string, keepApps bool) (kept string, err error) {
	return vault.Restore(dir, file, keepApps)
}

// HasState reports whether there is a state in a data folder.
func HasState(dir string) bool { return vault.Exists(dir) }

// DeleteEverything deletes what a Shim that does not run has kept in a data
// folder: state, keys, the admin token, and the master key wherever this folder
// has it. What other folders use stays. helper is as in Config. left says in
// sentences what is still there and what to do about it.
func DeleteEverything(dir string, helper []string) (left []string, err error) {
	left, err = vault.Destroy(vault.Config{Dir: dir, Helper: helper})
	return left, errors.Join(err, removeToken(dir))
}

func removeToken(dir string) error { return atomicfile.Remove(filepath.Join(dir, api.TokenFile)) }

// adminToken reads the token of the admin API, or makes one. The file is
// readable only by the owner's OS user; holding the token proves you are the
// owner.
func adminToken(file string) (string, error) {
	if info, err := os.Lstat(file); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a file but leads elsewhere; remove it, and start again", file)
	}
	b, err := os.ReadFile(file)
	if token := strings.TrimSpace(string(b)); err == nil && len(token) >= 26 {
		return token, os.Chmod(file, 0o600)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("cannot read the admin token: %w", err)
	}
	token := "k2o_admin_" + rand.Text()
	if err := atomicfile.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("cannot write the admin token: %w", err)
	}
	return token, nil
}

// rescue writes again what is in the data folder besides the state, after the
// folder was removed or replaced underneath.
func (s *Shim) rescue(cfg Config) error {
	if token := s.token.Load(); token != nil {
		file := filepath.Join(cfg.Dir, api.TokenFile)
		if b, err := os.ReadFile(file); err != nil || strings.TrimSpace(string(b)) != *token {
			if err := atomicfile.WriteFile(file, []byte(*token+"\n"), 0o600); err != nil {
				return err
			}
		}
	}
	if cfg.Rescue != nil {
		return cfg.Rescue()
	}
	return nil
}

// RunKeychainHelper answers one request about the keychain, read from in, on
// out. It is what Config.KeychainHelper runs.
func RunKeychainHelper(in io.Reader, out io.Writer) error { return ring.RunHelper(in, out) }
