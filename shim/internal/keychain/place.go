package keychain

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/key2oauth/key2oauth/shim/atomicfile"
	"github.com/key2oauth/key2oauth/shim/internal/datadir"
)

// PlaceFile is the name of the file in the data folder that remembers which item
// of the keychain is this folder's own. It is beside the state file and not only
// in it: a damaged state must not hide what has to be deleted.
const PlaceFile = "keychain.json"

// legacyAccount is the item that all data folders shared before each had its
// own. It is read, to adopt the master key of this folder's records, and never
// changed or deleted: another folder may need it.
const legacyAccount = "master key"

// A place is what a data folder remembers of its master key.
type place struct {
	Mode Mode `json:"mode,omitempty"`
	// Item is the id of the folder's own item, and Folder the folder that it was
	// made for. In a copy of a folder, the id is the original's.
	Item   string `json:"item,omitempty"`
	Folder string `json:"folder,omitempty"`
	// Former are items that were this folder's own, and are deleted with
	// everything.
	Former []string `json:"former,omitempty"`
	// Others are items of other folders that may hold the master key of this
	// folder's records, as after a restored backup. They are only read.
	Others []string `json:"others,omitempty"`
	// Shared says that the master key was adopted from the item that all folders
	// shared.
	Shared bool `json:"shared,omitempty"`
}

func account(id string) string { return legacyAccount + " " + id }

// parsePlace reads what encode wrote. A record that cannot be read is as none.
func parsePlace(b []byte) (p place, ok bool) {
	if json.Unmarshal(b, &p) != nil {
		return place{}, false
	}
	ids := append(slices.Clone(p.Former), p.Others...)
	if p.Item != "" {
		ids = append(ids, p.Item)
	}
	for _, id := range ids {
		if !isItem(id) {
			return place{}, false
		}
	}
	return p, true
}

// isItem reports whether id has the form of those that ownItem makes.
func isItem(id string) bool {
	return len(id) == len(rand.Text()) && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

func (p place) encode() []byte {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // impossible: strings and booleans only
	}
	return append(b, '\n')
}

// readPlace returns what the data folder remembers. remembered is the copy in
// the state file, which may come from another folder: from a backup.
func readPlace(dir string, remembered []byte) place {
	var p place
	if b, err := datadir.ReadFile(filepath.Join(dir, PlaceFile)); err == nil {
		p, _ = parsePlace(b)
	}
	q, ok := parsePlace(remembered)
	switch {
	case !ok:
	case p.Item == "":
		mode := p.Mode
		p = q
		if mode != "" {
			p.Mode = mode
		}
	case q.Item != p.Item:
		p.Others = appendNew(p.Others, q.Others...)
		p.Others = appendNew(p.Others, q.Former...)
		if q.Item != "" {
			p.Others = appendNew(p.Others, q.Item)
		}
	}
	p.Others = slices.DeleteFunc(p.Others, func(id string) bool { return id == p.Item || slices.Contains(p.Former, id) })
	if p.Item != "" && !p.belongsTo(dir) {
		// The folder is a copy. What the original deletes must not be needed here,
		// and the other way around.
		p.Others = appendNew(appendNew(p.Others, p.Item), p.Former...)
		p.Item, p.Folder, p.Former = "", "", nil
	}
	return p
}

func appendNew(ids []string, more ...string) []string {
	for _, id := range more {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// belongsTo reports whether the item is that of the folder dir, and not that of
// the folder which dir is a copy of. A folder that was moved keeps its item.
func (p place) belongsTo(dir string) bool {
	if p.Folder == "" || p.Folder == absolute(dir) {
		return true
	}
	there, err := os.Stat(p.Folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// A disk that is not mounted now hides a folder too, with all above it.
		_, err := os.Stat(filepath.Dir(p.Folder))
		return err == nil
	case err != nil:
		return false
	}
	if here, err := os.Stat(dir); err == nil && os.SameFile(here, there) {
		return true
	}
	b, err := datadir.ReadFile(filepath.Join(p.Folder, PlaceFile))
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	q, ok := parsePlace(b)
	return ok && q.Item != p.Item && !slices.Contains(q.Former, p.Item)
}

func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// own are the accounts of the items that are this folder's alone.
func (p place) own() []string {
	var all []string
	for _, id := range append(slices.Clone(p.Former), p.Item) {
		if id != "" {
			all = append(all, account(id))
		}
	}
	return all
}

// candidates are the accounts of the items, besides the folder's own, that may
// hold the master key of its records.
func (p place) candidates() []string {
	var all []string
	for _, id := range append(slices.Clone(p.Former), p.Others...) {
		all = append(all, account(id))
	}
	return append(all, legacyAccount)
}

// save makes the data folder remember p.
func (k *Keychain) save(p place) error {
	p.Folder = ""
	if p.Item != "" {
		p.Folder = absolute(k.cfg.Dir)
	}
	b := p.encode()
	name := filepath.Join(k.cfg.Dir, PlaceFile)
	_, err := os.Lstat(name)
	if p.Item != "" || err == nil {
		if old, err := datadir.ReadFile(name); err != nil || !bytes.Equal(old, b) {
			if err := atomicfile.WriteFile(name, b, 0o600); err != nil {
				return err
			}
		}
	}
	if k.cfg.Remember != nil {
		if err := k.cfg.Remember(b); err != nil {
			return err
		}
	}
	k.mu.Lock()
	k.place = p
	k.mu.Unlock()
	return nil
}

// ownItem returns the account of this folder's own item, which it makes up if
// there is none. The folder remembers it before there is such an item: one that
// is not remembered would stay forever. The caller holds making.
func (k *Keychain) ownItem() (string, error) {
	p := k.remembered()
	if p.Item == "" {
		p.Item = rand.Text()
	}
	p.Mode = ModeOS
	return account(p.Item), k.save(p)
}

func (k *Keychain) remembered() place {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.place
}

// rememberMode makes the data folder remember the mode of a run that keeps
// things. The caller holds making.
func (k *Keychain) rememberMode() error {
	p, mode := k.remembered(), k.modeNow()
	if p.Mode == mode {
		return nil
	}
	p.Mode = mode
	return k.save(p)
}

// noteMode is rememberMode for a run that continues without.
func (k *Keychain) noteMode() {
	k.making.Lock()
	defer k.making.Unlock()
	if err := k.rememberMode(); err != nil {
		k.log.Warn("the data folder does not remember where the encryption key is kept", "err", err)
	}
}

// RememberedMode is the mode that a data folder was last used with, "" if that
// is not known. remembered is what Config.Remember was given.
func RememberedMode(dir string, remembered []byte) Mode { return readPlace(dir, remembered).Mode }

// Check refuses a data folder in which something else has the name of the file
// that this package always reads.
func Check(dir string) error { return datadir.CheckFile(filepath.Join(dir, PlaceFile)) }

// ReadKeyFile returns the master key of mode "file", or nil if the folder has
// none that can be read.
func ReadKeyFile(dir string) *MasterKey {
	b, err := datadir.ReadFile(filepath.Join(dir, KeyFile))
	if err != nil {
		return nil
	}
	m, _ := parseMasterKey(strings.TrimSpace(string(b)))
	return m
}

// Rescue writes the files of this package again where they are missing, or where
// others have taken their place. Those are kept aside.
func (k *Keychain) Rescue() error {
	k.mu.Lock()
	m, p, mode := k.master, k.place, k.mode
	k.mu.Unlock()
	if mode == ModeFile && m != nil {
		if err := k.rescue(KeyFile, []byte(m.text.Reveal())); err != nil {
			return err
		}
	}
	if p.Item != "" {
		return k.rescue(PlaceFile, p.encode())
	}
	return nil
}

func (k *Keychain) rescue(base string, content []byte) error {
	name := filepath.Join(k.cfg.Dir, base)
	b, err := datadir.ReadFile(name)
	switch {
	case err == nil && bytes.Equal(bytes.TrimSpace(b), bytes.TrimSpace(content)):
		return nil
	case err == nil:
		if err := os.Rename(name, name+".replaced"); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return atomicfile.WriteFile(name, content, 0o600)
}
