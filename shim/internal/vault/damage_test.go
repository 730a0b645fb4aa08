package vault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/internal/datadir"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// soundFile is a state file with at least one record of each kind.
func soundFile(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	v, _ := withGrant(t, dir)
	fillGrants(t, v, 50)
	for n := range 300 {
		v.AppendActivity(testCall(n, time.Now()))
	}
	closeVault(t, v)
	return contents(t, dir, stateFile)
}

func TestL07DamagedFile(t *testing.T) {
	sound := soundFile(t)
	page := os.Getpagesize()
	flip := func(at ...int) []byte {
		b := bytes.Clone(sound)
		for _, i := range at {
			b[i] ^= 0xff
		}
		return b
	}
	// A flipped bit in a pointer can do this. bbolt would loop there until
	// memory runs out.
	circle := bytes.Clone(sound)
	at := 2 * page
	const header, branch = 16, 0x01
	for ; binary.NativeEndian.Uint16(circle[at+8:]) != branch; at += page {
	}
	binary.NativeEndian.PutUint64(circle[at+header+8:], uint64(at/page))
	garbage := make([]byte, len(sound))
	rand.NewChaCha8([32]byte{1}).Read(garbage)
	for _, tt := range []struct {
		name string
		file []byte
	}{
		{"empty", nil},
		{"cut in the first page", sound[:100]},
		{"cut after the first page", sound[:page]},
		{"cut after the metas", sound[:2*page]},
		{"cut in half", sound[:len(sound)/2/page*page]},
		{"garbage", garbage},
		{"garbage after the metas", append(bytes.Clone(sound[:2*page]), garbage[2*page:]...)},
		{"zeros after the metas", append(bytes.Clone(sound[:2*page]), make([]byte, len(sound)-2*page)...)},
		{"a page that points to itself", circle},
		{"a bit in both metas", flip(40, page+40)},
		{"magic of both metas", flip(16, page+16)},
		{"text", []byte(strings.Repeat("this is no database\n", 4000))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, stateFile)
			if err := os.WriteFile(path, tt.file, 0o600); err != nil {
				t.Fatal(err)
			}
			v, err := Open(Config{Dir: dir, Mode: keychain.ModeFile})
			if err == nil {
				v.Close()
				t.Fatal("a damaged file opens")
			}
			e, ok := errors.AsType[*datadir.Error](err)
			if !ok || e.Path != path || !strings.Contains(e.Words, path+" is damaged") || !strings.Contains(e.Words, "backup") {
				t.Errorf("got %v, want words that name the file and what to do", err)
			}
			if !bytes.Equal(contents(t, dir, stateFile), tt.file) {
				t.Error("the damaged file was changed")
			}
		})
	}
}

// A power cut damages one meta page, so the other one is used.
func TestOneMetaDamaged(t *testing.T) {
	sound := soundFile(t)
	for meta := range 2 {
		dir := t.TempDir()
		b := bytes.Clone(sound)
		b[meta*os.Getpagesize()+40] ^= 0xff
		if err := os.WriteFile(filepath.Join(dir, stateFile), b, 0o600); err != nil {
			t.Fatal(err)
		}
		v := openFileMode(t, dir)
		if _, ok := v.Endpoint(testSlug); !ok {
			t.Errorf("with meta %d damaged, the endpoint is gone", meta)
		}
		if _, err := v.Grant("g1"); err != nil {
			t.Errorf("with meta %d damaged: %v", meta, err)
		}
	}
}

// TestDamageAnywhere flips bytes and cuts files at random. The result is always
// an error, never a panic or the end of the process.
func TestDamageAnywhere(t *testing.T) {
	defer func(d time.Duration) { closeWithin = d }(closeWithin)
	closeWithin = 100 * time.Millisecond
	sound := soundFile(t)
	rounds := 150
	if testenv.InCI() {
		rounds = 3000
	}
	base := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	errs := 0
	for round := range rounds {
		b := bytes.Clone(sound)
		for range 1 + random.IntN(8) {
			// Damage to page headers hurts most.
			at := random.IntN(len(b))
			if random.IntN(2) == 0 {
				at = at/os.Getpagesize()*os.Getpagesize() + random.IntN(48)
			}
			b[at] = byte(random.Uint32())
		}
		// Each has its own folder, since a file that was not closed stays
		// locked.
		dir := filepath.Join(base, strconv.Itoa(round))
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, stateFile), b, 0o600)); err != nil {
			t.Fatal(err)
		}
		if err := useEverything(dir); err != nil {
			errs++
			if !isExpectedOfDamage(err) {
				t.Fatalf("round %d: %v", round, err)
			}
		}
	}
	t.Logf("%d of %d damaged files were noticed", errs, rounds)
}

func isExpectedOfDamage(err error) bool {
	_, ok := errors.AsType[*datadir.Error](err)
	return ok || errors.Is(err, oauth.ErrUnavailable) || errors.Is(err, ErrNotFound) ||
		errors.Is(err, ErrExists) || errors.Is(err, oauth.ErrNotFound)
}

func useEverything(dir string) error {
	v, err := Open(Config{Dir: dir, Mode: keychain.ModeFile})
	if err != nil {
		return err
	}
	defer v.Close()
	_, err = v.Grants()
	_, _, err2 := v.Token("fill00000007", digestOf("fill00000007", "access"))
	_, err3 := v.Activity()
	v.AppendActivity(testCall(1, time.Now()))
	return errors.Join(err, err2, err3,
		v.AddEndpoint(endpoint.Endpoint{Slug: "new", BaseURL: testBase, Name: "x"}, ""),
		v.UpdateGrant("g1", func(tx oauth.Tx) error {
			tx.SetToken(digestOf("x"), oauth.Token{})
			return nil
		}),
		v.DeleteGrant("fill00000003"),
		v.Sweep(time.Now()))
}

func TestL07NewerVersion(t *testing.T) {
	dir := t.TempDir()
	closeVault(t, openFileMode(t, dir))
	edit(t, dir, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("schema"), strconv.AppendInt(nil, schema+1, 10))
	})
	before := contents(t, dir, stateFile)
	_, err := Open(Config{Dir: dir, Mode: keychain.ModeFile})
	if err == nil || !strings.Contains(err.Error(), "newer version") || !strings.Contains(err.Error(), dir) {
		t.Errorf("Open = %v, want words about a newer version that name the file", err)
	}
	if !bytes.Equal(before, contents(t, dir, stateFile)) {
		t.Error("the newer file was changed")
	}
}

func TestForeignFile(t *testing.T) {
	dir := t.TempDir()
	db, err := bbolt.Open(filepath.Join(dir, stateFile), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir, Mode: keychain.ModeFile}); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("Open of another program's database = %v", err)
	}
}

func TestL07SecondProgram(t *testing.T) {
	for _, mode := range []keychain.Mode{keychain.ModeFile, keychain.ModeMemory} {
		dir := t.TempDir()
		v := open(t, Config{Dir: dir, Mode: mode})
		addEndpoint(t, v, testSlug, "")
		_, err := Open(Config{Dir: dir, Mode: mode})
		if !errors.Is(err, berrors.ErrTimeout) || !strings.Contains(err.Error(), fmt.Sprintf(statefile.TextInUse, "")) {
			t.Errorf("mode %s: second Open = %v, want words about the first", mode, err)
		}
		addEndpoint(t, v, "bbbbbbbbbbbb", "") // the first one keeps working
	}
}

func TestDamagedKeyFile(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("A", 43), strings.Repeat("*", 44)} {
		dir := t.TempDir()
		path := filepath.Join(dir, keychain.KeyFile)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Config{Dir: dir, Mode: keychain.ModeFile}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("key file %q: Open = %v, want words that name the file", text, err)
		}
		if got := contents(t, dir, keychain.KeyFile); string(got) != text {
			t.Errorf("the key file was changed to %q", got)
		}
	}
}

func TestDirIsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{path, filepath.Join(path, "below")} {
		if _, err := Open(Config{Dir: dir, Mode: keychain.ModeFile}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Open(%s) = %v, want words that name it", dir, err)
		}
	}
}

// A record that cannot be read fails alone: it is named, and can be deleted.
func TestDamagedGrant(t *testing.T) {
	dir := t.TempDir()
	v, credential := withGrant(t, dir)
	addGrant(t, v, "g2", testSlug, credential)
	closeVault(t, v)
	edit(t, dir, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("grants")).Put([]byte("g1"), []byte("{")) })
	v = openFileMode(t, dir)
	_, err := v.Grant("g1")
	if !errors.Is(err, oauth.ErrNotFound) || !strings.Contains(err.Error(), fmt.Sprintf("%q", "g1")) {
		t.Errorf("Grant = %v, want oauth.ErrNotFound and the name of the record", err)
	}
	if _, err := v.Grant("g2"); err != nil {
		t.Errorf("another grant: %v", err)
	}
	if got, want := v.Damages(), []Damage{{Kind: DamagedApp, ID: "g1"}}; !slices.Equal(got, want) {
		t.Errorf("Damages = %+v, want %+v", got, want)
	}
	if err := v.DeleteGrant("g1"); err != nil {
		t.Fatal(err)
	}
	if got := v.Damages(); len(got) > 0 {
		t.Errorf("after it was deleted, Damages = %+v", got)
	}
	checkCount(t, v, 1)
}
