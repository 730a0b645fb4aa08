package settings

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

func ignore(string) {}

// open opens a state file that holds settings alone. It is closed with the test.
func open(t *testing.T, dir string, now func() time.Time) (*statefile.File, *Settings) {
	t.Helper()
	var mu sync.RWMutex
	file, err := statefile.Open(filepath.Join(dir, "state.db"), statefile.Config{
		Layout: records.Layout{Version: 1, Buckets: Buckets}, Lock: &mu,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := file.Close(); err != nil && !errors.Is(err, statefile.ErrClosed) {
			t.Error(err)
		}
	})
	s := New(Config{Write: file.Update, Lock: &mu, Now: now, Repaired: ignore, Lost: ignore})
	if err := file.View(func(tx *bbolt.Tx) error { return s.Load(tx) }); err != nil {
		t.Fatal(err)
	}
	return file, s
}

func TestSessions(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	file, s := open(t, dir, clock)
	session := func(n int) Digest { return sha256.Sum256(fmt.Append(nil, "session ", n)) }
	if err := s.AddSession(session(0), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	_, s = open(t, dir, clock)
	if !s.HasSession(session(0)) || s.HasSession(session(1)) {
		t.Error("after a restart the session is not known, or another one is")
	}
	// The number of sessions is limited; the one that expires first makes room.
	for n := 1; n <= maxSessions; n++ {
		if err := s.AddSession(session(n), now.Add(time.Hour+time.Duration(n)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if s.HasSession(session(0)) || !s.HasSession(session(1)) || len(s.sessions) != maxSessions {
		t.Errorf("%d sessions, want %d without the first", len(s.sessions), maxSessions)
	}
	if err := s.EndSession(session(1)); err != nil {
		t.Fatal(err)
	}
	if s.HasSession(session(1)) {
		t.Error("an ended session still works")
	}
	now = now.Add(2 * time.Hour)
	if s.HasSession(session(2)) {
		t.Error("an expired session still works")
	}
	if err := s.AddSession(session(1), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if len(s.sessions) != 1 {
		t.Errorf("%d sessions, want the expired ones to be gone", len(s.sessions))
	}
}

// TestRandom: a random value is made once and has two records. One that is
// damaged is mended, even while the program runs and instead of being deleted; an
// older file gets its copy; and a known value needs no disk.
func TestRandom(t *testing.T) {
	const name, n = "key", 8
	dir := t.TempDir()
	file, s := open(t, dir, time.Now)
	var repaired, lost []string
	listen := func(s *Settings) {
		s.cfg.Repaired = func(name string) { repaired = append(repaired, name) }
		s.cfg.Lost = func(name string) { lost = append(lost, name) }
	}
	listen(s)
	value, err := s.Random(name, n)
	if err != nil || len(value) != n {
		t.Fatalf("Random = %x, %v", value, err)
	}
	reopen := func() {
		t.Helper()
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		file, s = open(t, dir, time.Now)
		listen(s)
	}
	change := func(f func(b *bbolt.Bucket) error) {
		t.Helper()
		if err := file.Update(func(tx *statefile.Tx) error { return f(tx.Bucket(bucketSettings)) }); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, times int) {
		t.Helper()
		got, err := s.Random(name, n)
		if err != nil || !bytes.Equal(got, value) || len(repaired) != times || len(lost) > 0 {
			t.Errorf("%s: Random = %x, %v, want %x; repaired %v, lost %v", what, got, err, value, repaired, lost)
		}
	}
	sound := func() int {
		count := 0
		file.View(func(tx *bbolt.Tx) error {
			return tx.Bucket(bucketSettings).ForEach(func(k, v []byte) error {
				if got, err := records.Check(bucketSettings, k, v); err == nil && bytes.Equal(got, value) {
					count++
				}
				return nil
			})
		})
		return count
	}

	reopen()
	change(func(b *bbolt.Bucket) error { return b.Delete([]byte(name + copySuffix)) })
	reopen()
	want("an older file", 0)
	if sound() != 2 {
		t.Error("an older file got no copy")
	}

	damage := func(b *bbolt.Bucket) error { return b.Put([]byte(name), []byte("damaged")) }
	change(damage)
	e := &records.Error{Bucket: string(bucketSettings), Key: name}
	if !s.Healable(e) {
		t.Error("a value in memory is not mended")
	}
	if err := s.SetSetting(name, nil); err != nil || sound() != 2 {
		t.Errorf("deleting a damaged record left %d, %v", sound(), err)
	}

	change(damage)
	reopen()
	write := s.cfg.Write
	s.cfg.Write = func(func(t *statefile.Tx) error) error { return errors.New("disk full") }
	want("on a full disk", 0)
	s.cfg.Write = write
	want("afterwards", 1)
	if sound() != 2 {
		t.Error("the damaged record was not mended")
	}

	change(func(b *bbolt.Bucket) error {
		return errors.Join(damage(b), b.Put([]byte(name+copySuffix), []byte("damaged")))
	})
	reopen()
	fresh, err := s.Random(name, n)
	if err != nil || len(fresh) != n || bytes.Equal(fresh, value) || !slices.Equal(lost, []string{name}) || !slices.Equal(s.Lost(), lost) {
		t.Errorf("with both damaged, Random = %x, %v; lost %v", fresh, err, lost)
	}
	if err := s.Forget(name); err != nil || len(s.Lost()) > 0 {
		t.Errorf("after Forget, Lost = %v, %v", s.Lost(), err)
	}
}
