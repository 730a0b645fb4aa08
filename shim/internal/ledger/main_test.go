package ledger

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

const stateFile = "state.db"

// A testLedger is a ledger that has a file to itself.
type testLedger struct {
	*Ledger
	file *statefile.File
}

func openLedger(t testing.TB, dir string) *testLedger {
	t.Helper()
	file, err := statefile.Open(filepath.Join(dir, stateFile), statefile.Config{
		Layout: records.Layout{Version: 4, Buckets: Buckets, Migrate: Migrate},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return &testLedger{New(Config{
		View: file.View, Update: file.Update, Write: file.Update,
		Check:   func(*bbolt.Tx, oauth.Grant) error { return nil },
		Ended:   func(*statefile.Tx, oauth.Grant) error { return nil },
		Used:    func(*statefile.Tx, string, time.Time) error { return nil },
		Damaged: func(error) {},
		Log:     slog.New(slog.DiscardHandler), Now: time.Now,
	}), file}
}

func (l *testLedger) close(t testing.TB) {
	t.Helper()
	l.Flush()
	if err := l.file.Close(); err != nil {
		t.Fatal(err)
	}
}

// txid counts the transactions that were written.
func txid(l *testLedger) (id int) {
	l.file.View(func(tx *bbolt.Tx) error {
		id = tx.ID()
		return nil
	})
	return id
}

// edit changes a closed state file, as a person with an editor could.
func edit(t *testing.T, dir string, fn func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, stateFile), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for ok, which takes milliseconds unless something is wrong.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}
