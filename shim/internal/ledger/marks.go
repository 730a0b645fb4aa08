package ledger

import (
	"bytes"
	"encoding/json"
	"maps"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/roll"
)

// A Mark is what the roll is made of. Its bytes are good only until the
// function that got it returns.
type Mark struct {
	roll.Entry
	record []byte
}

// EachMark calls fn with a mark of every grant that can be read, in no order
// that means anything. A hundred thousand take some 50 ms and no memory, where
// reading them whole takes a second and many megabytes.
func (l *Ledger) EachMark(fn func(Mark)) error {
	l.backlog.mu.Lock()
	pending := maps.Clone(l.backlog.used)
	l.backlog.mu.Unlock()
	return l.cfg.View(func(tx *bbolt.Tx) error {
		return records.EachBytes(tx, bucketGrants, func(id, value []byte) error {
			m, ok := readMark(value)
			if !ok {
				return nil
			}
			m.ID = id
			if at := pending[string(id)]; at.After(m.LastUsed) {
				m.LastUsed = at
			}
			fn(m)
			return nil
		})
	})
}

// readMark reads a mark out of a grant's record. In one that this version wrote
// the fields are in the order of grantRecord, with nothing but plain values
// before the last that is wanted, and no string can hold the name of a field,
// since its quotes are escaped. Any other record, and anything odd, is parsed.
func readMark(value []byte) (m Mark, ok bool) {
	if !bytes.HasPrefix(value, nameID) || bytes.Contains(value, nameV) {
		return parseMark(value)
	}
	slug, rest, found := fieldOf(value, nameSlug)
	if !found || bytes.IndexByte(slug, '\\') >= 0 {
		return parseMark(value)
	}
	created, rest, found := fieldOf(rest, nameCreated)
	if !found || m.Created.UnmarshalText(created) != nil {
		return parseMark(value)
	}
	if bytes.HasPrefix(rest, nameUsed) {
		used, _, found := fieldOf(rest, nameUsed)
		if !found || m.LastUsed.UnmarshalText(used) != nil {
			return parseMark(value)
		}
	}
	m.Slug, m.record = slug, value
	return m, true
}

// The names of fields as records have them.
var (
	nameID         = []byte(`{"id":"`)
	nameSlug       = []byte(`"slug":"`)
	nameCreated    = []byte(`"created":"`)
	nameUsed       = []byte(`","last_used":"`) // after the one that is always before it
	nameCredential = []byte(`"credential":"`)
	nameV          = []byte(`"v":`)
)

// fieldOf finds the value of a field that is a string, and what follows.
func fieldOf(value, name []byte) (field, rest []byte, ok bool) {
	i := bytes.Index(value, name)
	if i < 0 {
		return nil, value, false
	}
	rest = value[i+len(name):]
	n := bytes.IndexByte(rest, '"')
	if n < 0 {
		return nil, value, false
	}
	return rest[:n], rest[n:], true
}

func parseMark(value []byte) (m Mark, ok bool) {
	var r struct {
		grantRecord
		V int `json:"v"`
	}
	if json.Unmarshal(value, &r) != nil || r.V > 0 {
		return m, false
	}
	return Mark{roll.Entry{Slug: []byte(r.Slug), Created: r.Created, LastUsed: r.LastUsed}, value}, true
}

// Uses reports whether the grant may use a credential. Whether it does, its
// record says.
func (m Mark) Uses(credential string) bool {
	return bytes.Contains(m.record, append(append([]byte(nil), nameCredential...), credential...))
}
