package ledger

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/nanos"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// A token record is binary, since a busy client adds one every hour: a version,
// the kind, flags, two times, the parent if there is one, and three strings with
// their lengths.
const tokenVersion = 1

const (
	flagUsed = 1 << iota
	flagSuperseded
	flagParent
	flagsKnown = flagUsed | flagSuperseded | flagParent
)

var errToken = errors.New("not a token record")

// appendToken appends the record of t to b.
func appendToken(b []byte, t oauth.Token) []byte {
	var flags byte
	if t.Used {
		flags |= flagUsed
	}
	if t.Superseded {
		flags |= flagSuperseded
	}
	if t.Parent != (oauth.Digest{}) {
		flags |= flagParent
	}
	b = append(b, tokenVersion, byte(t.Kind), flags)
	b = binary.BigEndian.AppendUint64(b, nanos.Of(t.Expires))
	b = binary.BigEndian.AppendUint64(b, nanos.Of(t.SuccessorUsed))
	if flags&flagParent != 0 {
		b = append(b, t.Parent[:]...)
	}
	for _, s := range []string{t.Scope, t.RedirectURI, t.Challenge} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// ParseToken reads a token record. It accepts nothing that appendToken does
// not write.
func ParseToken(b []byte) (t oauth.Token, err error) {
	const fixed = 3 + 8 + 8
	if len(b) < fixed || b[0] != tokenVersion || b[2]&^flagsKnown != 0 {
		return t, errToken
	}
	t.Kind = oauth.Kind(b[1])
	flags := b[2]
	t.Used = flags&flagUsed != 0
	t.Superseded = flags&flagSuperseded != 0
	t.Expires = nanos.Time(binary.BigEndian.Uint64(b[3:]))
	t.SuccessorUsed = nanos.Time(binary.BigEndian.Uint64(b[11:]))
	b = b[fixed:]
	if flags&flagParent != 0 {
		if len(b) < len(t.Parent) {
			return oauth.Token{}, errToken
		}
		b = b[copy(t.Parent[:], b):]
		if t.Parent == (oauth.Digest{}) {
			return oauth.Token{}, errToken
		}
	}
	for _, s := range []*string{&t.Scope, &t.RedirectURI, &t.Challenge} {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) || size != len(binary.AppendUvarint(nil, n)) {
			return oauth.Token{}, errToken
		}
		*s = string(b[size : size+int(n)])
		b = b[size+int(n):]
	}
	if len(b) != 0 {
		return oauth.Token{}, errToken
	}
	return t, nil
}

// tokenExpires reads only the kind and the expiry of a token record.
func tokenExpires(b []byte) (oauth.Kind, time.Time, error) {
	if len(b) < 11 || b[0] != tokenVersion {
		return 0, time.Time{}, errToken
	}
	return oauth.Kind(b[1]), nanos.Time(binary.BigEndian.Uint64(b[3:])), nil
}
