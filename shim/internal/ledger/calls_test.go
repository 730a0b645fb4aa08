package ledger

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/activity"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

func testCall(n int, at time.Time) activity.Call {
	return activity.Call{
		Time: at.UTC().Round(0), Slug: "abcdefghijkl", Grant: "g1", Client: "Claude Code", Method: "tools/call",
		Tool: fmt.Sprint("tool", n), Status: 200, MS: int64(n), Struck: n % 300,
	}
}

func callsOf(t testing.TB, l *testLedger) []activity.Call {
	t.Helper()
	calls, err := l.Activity()
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

// batches counts what is on disk: batches, and calls in them.
func batches(t testing.TB, l *testLedger) (n, calls int) {
	t.Helper()
	err := l.cfg.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketCalls)
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, batch []byte) error {
			if batch, _ = records.Check(bucketCalls, k, batch); batch == nil {
				n++
				return nil
			}
			all, err := activity.ParseBatch(batch, make(map[string]string))
			n, calls = n+1, calls+len(all)
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return n, calls
}

// TestActivityIsKept: calls are written in one transaction within about a
// second, or by Close at the latest. They are read back complete and in order.
func TestActivityIsKept(t *testing.T) {
	dir := t.TempDir()
	l := openLedger(t, dir)
	if got := callsOf(t, l); len(got) != 0 {
		t.Errorf("got %d calls at first, want none", len(got))
	}
	var want []activity.Call
	at, before := time.Now(), txid(l)
	for n := range 1000 {
		c := testCall(n, at.Add(time.Duration(n)))
		want = append(want, c)
		l.AppendActivity(c)
	}
	if err := l.TouchGrants(map[string]time.Time{"g1": at}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "written", func() bool { return len(callsOf(t, l)) == len(want) })
	if got := txid(l) - before; got != 1 {
		t.Errorf("got %d transactions for the calls and the last-used times, want 1", got)
	}
	if n, _ := batches(t, l); n != 4 {
		t.Errorf("got %d batches, want 4", n)
	}

	// A killed program leaves what is on disk now.
	killed := t.TempDir()
	state, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(killed, stateFile), state, 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, callsOf(t, openLedger(t, killed))); diff != "" {
		t.Errorf("after a kill (-want +got):\n%s", diff)
	}

	last := testCall(1000, at.Add(time.Minute))
	l.AppendActivity(last)
	l.close(t)
	if diff := cmp.Diff(append(want, last), callsOf(t, openLedger(t, dir))); diff != "" {
		t.Errorf("after Close (-want +got):\n%s", diff)
	}
}

func TestActivityIsBounded(t *testing.T) {
	now := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
	l := openLedger(t, t.TempDir())
	l.cfg.Now = func() time.Time { return now }
	total := 0
	add := func(n int) {
		for range n {
			l.AppendActivity(testCall(total, now))
			total++
		}
		l.Flush()
	}
	add(300)
	for range 40 {
		add(1)
	}
	add(activity.Keep)
	for range 20 {
		add(300)
		if _, calls := batches(t, l); calls < activity.Keep || calls > activity.Keep+batchSize {
			t.Fatalf("got %d calls on disk after %d, want about %d", calls, total, activity.Keep)
		}
	}
	got := callsOf(t, l)
	if len(got) != activity.Keep || got[0].MS != int64(total-activity.Keep) || got[len(got)-1].MS != int64(total-1) {
		t.Errorf("got %d calls up to %d, want the last %d up to %d", len(got), got[len(got)-1].MS, activity.Keep, total-1)
	}

	now = now.Add(activity.MaxAge - time.Hour)
	add(5)
	if got := callsOf(t, l); len(got) != activity.Keep {
		t.Errorf("after 30 days less an hour: got %d calls, want %d", len(got), activity.Keep)
	}
	now = now.Add(2 * time.Hour)
	if got := callsOf(t, l); len(got) != 5 {
		t.Errorf("after 30 days: got %d calls, want the 5 new ones", len(got))
	}
	// Old calls are removed even if there are no new ones.
	if err := l.Sweep(now); err != nil {
		t.Fatal(err)
	}
	if n, calls := batches(t, l); n != 1 || calls != 5 {
		t.Errorf("after Sweep: got %d calls in %d batches on disk, want 5 in 1", calls, n)
	}
	if err := l.Sweep(now.Add(activity.MaxAge)); err != nil {
		t.Fatal(err)
	}
	if n, _ := batches(t, l); n != 0 {
		t.Errorf("after another 30 days: got %d batches, want none", n)
	}
	add(1)
	if got := callsOf(t, l); len(got) != 1 {
		t.Errorf("the next call: got %d calls, want 1", len(got))
	}
}

// TestActivityWaitsForNobody: while the disk hangs, callers continue, memory
// stays bounded, and a single write waits instead of one for each second.
func TestActivityWaitsForNobody(t *testing.T) {
	l := openLedger(t, t.TempDir())
	var flushes sync.WaitGroup
	writing, ended := make(chan struct{}), make(chan struct{})
	flushes.Go(func() {
		l.cfg.Update(func(*statefile.Tx) error {
			close(writing)
			<-ended // like a write that never ends
			return nil
		})
	})
	<-writing
	flushes.Go(l.Flush)
	for n := range 5 * activity.Keep {
		l.AppendActivity(testCall(n, time.Now()))
	}
	l.backlog.mu.Lock()
	if n := cap(l.backlog.calls); n > 3*activity.Keep {
		t.Errorf("got room for %d calls, want it bounded", n)
	}
	l.backlog.mu.Unlock()
	close(ended)
	flushes.Wait()
	eventually(t, "written", func() bool { return len(callsOf(t, l)) == activity.Keep })
	if got := callsOf(t, l); got[len(got)-1].MS != 5*activity.Keep-1 {
		t.Errorf("got %d as the last call, want %d", got[len(got)-1].MS, 5*activity.Keep-1)
	}
}

// TestActivityDamaged: nothing depends on activity. An entry that cannot be
// read is skipped, and deleted when it is old enough.
func TestActivityDamaged(t *testing.T) {
	dir := t.TempDir()
	l := openLedger(t, dir)
	for n := range 3 {
		l.AppendActivity(testCall(n, time.Now()))
		l.Flush()
	}
	l.close(t)
	edit(t, dir, func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketCalls)
		k, _ := b.Cursor().First()
		return b.Put(bytes.Clone(k), []byte("no batch"))
	})
	l = openLedger(t, dir)
	if got := callsOf(t, l); len(got) != 2 {
		t.Errorf("got %d calls, want the 2 that can be read", len(got))
	}
	l.AppendActivity(testCall(3, time.Now()))
	l.Flush()
	if n, calls := batches(t, l); n != 3 || calls != 3 {
		t.Errorf("got %d calls in %d batches, want 3 in 3", calls, n)
	}
}

// BenchmarkAppendActivity measures how long a call waits.
func BenchmarkAppendActivity(b *testing.B) {
	l := openLedger(b, b.TempDir())
	c := testCall(1, time.Now())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.AppendActivity(c)
		}
	})
}

// BenchmarkLoadActivity measures how long a start waits.
func BenchmarkLoadActivity(b *testing.B) {
	l := openLedger(b, b.TempDir())
	for n := range activity.Keep {
		l.AppendActivity(testCall(n%20, time.Now()))
	}
	l.Flush()
	for b.Loop() {
		if got := callsOf(b, l); len(got) != activity.Keep {
			b.Fatalf("got %d calls", len(got))
		}
	}
}
