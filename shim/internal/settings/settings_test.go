package settings

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

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
	s := New(Config{Write: file.Update, Lock: &mu, Now: now})
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
