package activity

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/nanos"
)

// Calls outlive the program in batches, which are written and read here.

// The versions of a batch. The first has no count of struck secrets.
const (
	batchVersion1 = 1
	batchVersion  = 2
)

// noteMark stands between a method and a note about it. Records without notes
// are as old versions wrote them, and those with one can be read by them. No
// method has it, because package activity takes out what cannot be printed.
const noteMark = "\x1f"

// errBatch reports bytes that are no batch.
var errBatch = errors.New("not a batch of calls")

// AppendBatch appends the record of a batch, which is not empty: a version, the
// time of the newest call, and for each call its time, its numbers and its
// words.
func AppendBatch(b []byte, calls []Call) []byte {
	newest := calls[0].Time
	for _, c := range calls {
		if c.Time.After(newest) {
			newest = c.Time
		}
	}
	b = append(b, batchVersion)
	b = binary.BigEndian.AppendUint64(b, nanos.Of(newest))
	for _, c := range calls {
		b = binary.BigEndian.AppendUint64(b, nanos.Of(c.Time))
		b = binary.AppendUvarint(b, uint64(max(c.Status, 0)))
		b = binary.AppendUvarint(b, uint64(max(c.MS, 0)))
		b = binary.AppendUvarint(b, uint64(max(c.Struck, 0)))
		method := c.Method
		if c.Note != "" {
			method += noteMark + c.Note
		}
		for _, s := range []string{c.Slug, c.Grant, c.Client, method, c.Tool} {
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		}
	}
	return b
}

// Newest returns the time of the newest call of a batch.
func Newest(batch []byte) (time.Time, error) {
	newest, _, err := batchHead(batch)
	return newest, err
}

// batchHead reads what comes before the calls.
func batchHead(b []byte) (newest time.Time, calls []byte, err error) {
	if len(b) < 1+8 || b[0] != batchVersion && b[0] != batchVersion1 {
		return newest, nil, errBatch
	}
	return nanos.Time(binary.BigEndian.Uint64(b[1:])), b[1+8:], nil
}

// ParseBatch reads the record of a batch as far as possible. words holds the
// strings read so far, which are shared between calls.
func ParseBatch(b []byte, words map[string]string) (calls []Call, err error) {
	whole := b
	if _, b, err = batchHead(b); err != nil {
		return nil, err
	}
	counted := whole[0] != batchVersion1
	for len(b) > 0 {
		if len(b) < 8 {
			return calls, errBatch
		}
		c := Call{Time: nanos.Time(binary.BigEndian.Uint64(b))}
		b = b[8:]
		status, n := binary.Uvarint(b)
		if n <= 0 || status > 999 {
			return calls, errBatch
		}
		b = b[n:]
		ms, n := binary.Uvarint(b)
		if n <= 0 || ms > math.MaxInt64 {
			return calls, errBatch
		}
		b = b[n:]
		c.Status, c.MS = int(status), int64(ms)
		if counted {
			struck, n := binary.Uvarint(b)
			if n <= 0 || struck > math.MaxInt32 {
				return calls, errBatch
			}
			b = b[n:]
			c.Struck = int(struck)
		}
		for _, s := range []*string{&c.Slug, &c.Grant, &c.Client, &c.Method, &c.Tool} {
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				return calls, errBatch
			}
			word := b[n : n+int(size)]
			b = b[n+int(size):]
			known, ok := words[string(word)]
			if !ok {
				known = string(word)
				words[known] = known
			}
			*s = known
		}
		c.Method, c.Note, _ = strings.Cut(c.Method, noteMark)
		calls = append(calls, c)
	}
	return calls, nil
}
