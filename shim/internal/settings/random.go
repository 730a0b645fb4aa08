package settings

import (
	"bytes"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// What apps and browsers hold was made with a few random values, which cannot
// be made again. So each has two records, and a lost bit damages only one.
const (
	copySuffix = " (copy)" // of the name of the second record
	lostSuffix = " (lost)" // of the record that says that both were damaged
)

// Random returns a setting of n random bytes, which it creates on first use. A
// damaged record of it is written again from the other one, at the next start if
// the disk takes no changes now. If both are damaged, a new value is made, and
// Lost names it until Forget.
func (s *Settings) Random(name string, n int) ([]byte, error) {
	s.cfg.Lock.RLock()
	value, whole, tell := s.recall(name, n)
	s.cfg.Lock.RUnlock()
	known := value
	if !whole {
		err := s.cfg.Write(func(t *statefile.Tx) (err error) {
			if value, _, tell = s.recall(name, n); value != nil {
				return s.putRandom(t, name, value, false)
			}
			value = make([]byte, n)
			rand.Read(value)
			return s.putRandom(t, name, value, tell != nil)
		})
		switch {
		case err != nil && known == nil:
			return nil, err
		case err != nil:
			value = known
		case tell != nil:
			tell(name)
		}
	}
	s.cfg.Lock.Lock()
	defer s.cfg.Lock.Unlock()
	s.randoms[name] = true
	return value, nil
}

// recall returns what both records of a random value say, nil if neither can be
// read, whether both are there, and whom to tell of damage, if there is any. The
// caller holds Config.Lock, or is in a transaction.
func (s *Settings) recall(name string, n int) (value []byte, whole bool, tell func(name string)) {
	first, hadFirst := s.settings[name]
	second, hadSecond := s.settings[name+copySuffix]
	switch {
	case len(first) == n && hadSecond && len(second) != n:
		return first, false, s.cfg.Repaired
	case len(first) == n: // older versions wrote no copy
		return first, bytes.Equal(first, second), nil
	case len(second) == n:
		return second, false, s.cfg.Repaired
	case hadFirst || hadSecond:
		return nil, false, s.cfg.Lost
	}
	return nil, false, nil
}

// putRandom saves a random value in both records, and notes that it replaces one
// that was lost.
func (s *Settings) putRandom(t *statefile.Tx, name string, value []byte, lost bool) error {
	put := map[string][]byte{name: value, name + copySuffix: value}
	if lost {
		put[name+lostSuffix] = s.cfg.Now().AppendFormat(nil, time.RFC3339)
	}
	for record, value := range put {
		if err := s.putSetting(t, record, value); err != nil {
			return err
		}
	}
	return nil
}

// isRandom reports whether a record belongs to Random. The caller holds
// Config.Lock, or is in a transaction.
func (s *Settings) isRandom(record string) bool {
	return s.randoms[strings.TrimSuffix(record, copySuffix)]
}

// heal writes a record of Random again.
func (s *Settings) heal(tx *bbolt.Tx, record string) error {
	value := s.settings[strings.TrimSuffix(record, copySuffix)]
	return records.PutBytes(tx, bucketSettings, []byte(record), value)
}

// Lost names the values of Random that were damaged in both records and replaced.
func (s *Settings) Lost() (names []string) {
	s.cfg.Lock.RLock()
	defer s.cfg.Lock.RUnlock()
	for record := range s.settings {
		if name, ok := strings.CutSuffix(record, lostSuffix); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Forget removes a name from Lost.
func (s *Settings) Forget(name string) error { return s.SetSetting(name+lostSuffix, nil) }
