package testenv

import (
	"testing"
	"time"
)

// Still waits until count has begun to grow and then grows no more: what a
// writer has written, once its reader has stopped and all buffers in between
// are full.
func Still(t testing.TB, what string, count func() int64) {
	t.Helper()
	const enough = 20 // looks in a row that find the same
	last, same := int64(0), 0
	for deadline := time.Now().Add(Patience); same < enough; time.Sleep(10 * time.Millisecond) {
		n := count()
		if n == 0 || n != last {
			last, same = n, 0
		} else {
			same++
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: it is at %d and does not come to rest", what, n)
		}
	}
}
