package keychain

import (
	"errors"
	"log/slog"
	"os"
	"strings"

	"github.com/key2oauth/key2oauth/shim/atomicfile"
	"github.com/key2oauth/key2oauth/shim/internal/datadir"
)

// KeyFile is the name of the file in the data folder that holds the master key
// in mode "file".
const KeyFile = "master.key"

// readKeyFile reads the master key of mode "file". It returns nil if there is
// none yet.
func readKeyFile(path string, log *slog.Logger) (*MasterKey, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, datadir.Explain(path, err)
	}
	if err := datadir.CheckFile(path); err != nil {
		return nil, err
	}
	if datadir.OpenToOthers(info) {
		if err := datadir.OwnerOnly(path); err != nil {
			return nil, datadir.Explain(path, err)
		}
		log.Warn("others could read the master key; now they cannot", "file", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, datadir.Explain(path, err)
	}
	m, err := parseMasterKey(strings.TrimSpace(string(b)))
	if err != nil {
		return nil, &datadir.Error{Path: path, Err: err, Words: path + " is damaged: " + err.Error() +
			". Put your own copy of this file back; key2oauth backup does not contain it. If you move it away, you have to paste every API key again"}
	}
	return m, nil
}

// makeKeyFile makes a master key and returns once it is durable: a record that
// was sealed under a key that a crash took away would be lost.
func makeKeyFile(path string) (*MasterKey, error) {
	m := newMasterKey()
	if err := atomicfile.WriteFile(path, []byte(m.text.Reveal()), 0o600); err != nil {
		return nil, err
	}
	return m, nil
}
