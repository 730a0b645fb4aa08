package vault

import (
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A Note tells the owner what happened to the saved data while the program ran,
// and was mended.
type Note struct {
	Kind NoteKind
	Time time.Time
	File string // that was kept aside; mostly ""
}

// A NoteKind says what happened.
type NoteKind string

// The kinds of notes.
const (
	NoteStateLost NoteKind = "state lost" // the data folder or the state file was removed or replaced
	NoteItemLost  NoteKind = "item lost"  // the keychain's item was deleted or replaced
	NoteRepaired  NoteKind = "repaired"   // a damaged record was written again from its copy
)

// Notes lists what happened in this run, the last of each kind.
func (v *Vault) Notes() []Note {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return slices.Clone(v.notes)
}

func (v *Vault) note(n Note) {
	n.Time = v.now()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.notes = append(slices.DeleteFunc(v.notes, func(old Note) bool { return old.Kind == n.Kind }), n)
	v.notify()
}

func (v *Vault) settingRepaired(name string) {
	v.log.Warn("a damaged setting was repaired from its copy", "name", name)
	v.note(Note{Kind: NoteRepaired})
}

func (v *Vault) settingLost(name string) {
	v.log.Error("a setting and its copy were damaged; it has a new value", "name", name)
}

// rescue writes again what is beside the state file.
func (v *Vault) rescue() error {
	if v.keys != nil {
		if err := v.keys.Rescue(); err != nil {
			return err
		}
	}
	if v.cfg.Rescue != nil {
		return v.cfg.Rescue()
	}
	return nil
}

func (v *Vault) rescued(aside string) {
	if aside != "" {
		aside = filepath.Base(aside)
	}
	v.note(Note{Kind: NoteStateLost, File: aside})
}

// removeReplaced deletes what was kept aside.
func removeReplaced(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if ok, _ := filepath.Match(stateFile+".replaced-*", e.Name()); ok && e.Type().IsRegular() {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
