package activity

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/shim/internal/nanos"
)

func batchCall(n int, at time.Time) Call {
	return Call{
		Time: at.UTC().Round(0), Slug: "abcdefghijkl", Grant: "g1", Client: "Claude Code", Method: "tools/call",
		Tool: fmt.Sprint("tool", n), Status: 200, MS: int64(n), Struck: n % 300,
	}
}

// TestBatchOfEarlierVersion: batches without a count of struck secrets are
// still read.
func TestBatchOfEarlierVersion(t *testing.T) {
	at := time.Now()
	want := batchCall(7, at)
	batch := []byte{batchVersion1}
	batch = binary.BigEndian.AppendUint64(batch, nanos.Of(at))
	batch = binary.BigEndian.AppendUint64(batch, nanos.Of(at))
	batch = append(batch, 0xC8, 1, 7) // 200 and 7
	for _, word := range []string{want.Slug, want.Grant, want.Client, want.Method, want.Tool} {
		batch = append(append(batch, byte(len(word))), word...)
	}
	got, err := ParseBatch(batch, make(map[string]string))
	want.Struck = 0
	if diff := cmp.Diff([]Call{want}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// FuzzParseBatch: everything parsed is within its bounds, and everything
// written can be parsed.
func FuzzParseBatch(f *testing.F) {
	sound := AppendBatch(nil, []Call{batchCall(1, time.Unix(1, 2)), batchCall(2, time.Unix(3, 4))})
	f.Add(sound)
	f.Add(sound[:len(sound)-1])
	noted := batchCall(3, time.Unix(5, 6))
	noted.Note = "differs"
	f.Add(AppendBatch(nil, []Call{noted}))
	f.Add([]byte{batchVersion})
	f.Add(append(bytes.Clone(sound[:9]), bytes.Repeat([]byte{0xff}, 40)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		calls, err := ParseBatch(b, make(map[string]string))
		if len(calls) == 0 {
			return
		}
		again, err2 := ParseBatch(AppendBatch(nil, calls), make(map[string]string))
		if err2 != nil || !cmp.Equal(calls, again) {
			t.Errorf("%x: read %v, %v, and then %v, %v", b, calls, err, again, err2)
		}
	})
}
