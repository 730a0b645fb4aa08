package vault

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/settings"
)

// A flipWorld is a state with several of everything.
type flipWorld struct {
	dir     string
	slugs   []string
	creds   map[string]string   // id -> its endpoint
	grants  map[string][]string // id -> its endpoint and credential
	randoms map[string][]byte
}

func newFlipWorld(t *testing.T, servers int) *flipWorld {
	t.Helper()
	w := &flipWorld{dir: t.TempDir(), creds: make(map[string]string), grants: make(map[string][]string), randoms: make(map[string][]byte)}
	v := openFileMode(t, w.dir)
	for s := range servers {
		slug := fmt.Sprintf("server%06d", s)
		w.slugs = append(w.slugs, slug)
		addEndpoint(t, v, slug, fmt.Sprint("token=", s))
		id := saveKey(t, v, slug, "", "key of "+slug).ID
		w.creds[id] = slug
		for g := range 3 {
			grant := fmt.Sprintf("grant%d%d", s, g)
			w.grants[grant] = []string{slug, id}
			addGrant(t, v, grant, slug, id)
			err := v.UpdateGrant(grant, func(tx oauth.Tx) error {
				tx.SetToken(digestOf(grant, "access"), oauth.Token{Kind: oauth.AccessToken, Expires: time.Now().Add(time.Hour)})
				tx.SetToken(digestOf(grant, "refresh"), oauth.Token{Kind: oauth.RefreshToken, Expires: time.Now().Add(time.Hour)})
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			v.SaveTimeline(grant, []byte("how "+grant+" came to be"), g == 0)
		}
	}
	for n := range 40 {
		v.AppendActivity(testCall(n, time.Now()))
	}
	err := errors.Join(
		v.SetSetting("address", []byte("127.0.0.1:7450")), v.SetSetting("paused", []byte{1}),
		v.AddSession(settings.Digest{1}, time.Now().Add(time.Hour)), v.SaveSecret("ngrok", endpoint.NewSecret(testToken)))
	for name, n := range map[string]int{"client id key": 32, "cookie name": 4} {
		value, failed := v.Random(name, n)
		w.randoms[name], err = value, errors.Join(err, failed)
	}
	if err != nil {
		t.Fatal(err)
	}
	closeVault(t, v)
	return w
}

// A flipped is a record of which a bit was flipped.
type flipped struct{ bucket, key string }

// hits reports whether what belongs to a server, a credential and a grant may
// fail when this record is damaged. Empty arguments are none.
func (f flipped) hits(slug, credential, grant string) bool {
	switch f.bucket {
	case string(bucketEndpoints):
		return f.key == slug
	case string(bucketCreds):
		return f.key == credential
	case string(bucketSealed):
		kind, id, _ := strings.Cut(f.key, "/")
		return kind == kindKey && id == credential || kind == kindQuery && id == slug
	case "grants":
		return f.key == grant
	case "tokens":
		id, _, _ := strings.Cut(f.key, "\x00")
		return id == grant
	}
	return false
}

// repaired reports whether the damaged record has a copy.
func (w *flipWorld) repaired(f flipped) bool {
	return f.bucket == string(bucketSettings) && w.randoms[strings.TrimSuffix(f.key, " (copy)")] != nil
}

// check checks everything that does not belong to the damaged record.
func (w *flipWorld) check(t *testing.T, v *Vault, f flipped) {
	t.Helper()
	for _, slug := range w.slugs {
		if f.hits(slug, "", "") {
			continue
		}
		if _, ok := v.Endpoint(slug); !ok {
			t.Errorf("server %s is gone", slug)
		}
		if u, err := v.UpstreamURL(slug); err != nil || !strings.HasPrefix(u.RawQuery, "token=") {
			t.Errorf("UpstreamURL(%s) = %v, %v", slug, u, err)
		}
	}
	for id, slug := range w.creds {
		if !f.hits(slug, id, "") {
			checkKey(t, v, id, "key of "+slug)
		}
	}
	for id, of := range w.grants {
		if f.hits(of[0], of[1], id) {
			continue
		}
		if g, err := v.Grant(id); err != nil || g.Slug != of[0] {
			t.Errorf("Grant(%s) = %+v, %v", id, g, err)
		}
		for _, token := range []string{"code", "access", "refresh"} {
			if _, ok, err := v.Token(id, digestOf(id, token)); !ok || err != nil {
				t.Errorf("the %s token of %s: %v, %v", token, id, ok, err)
			}
		}
		if err := v.UpdateGrant(id, func(tx oauth.Tx) error { tx.SetGrant(tx.Grant()); return nil }); err != nil {
			t.Errorf("UpdateGrant(%s): %v", id, err)
		}
	}
	if _, err := v.Grants(); err != nil {
		t.Errorf("Grants: %v", err)
	}
	if _, err := v.Activity(); err != nil {
		t.Errorf("Activity: %v", err)
	}
	if _, err := v.Timelines(); err != nil {
		t.Errorf("Timelines: %v", err)
	}
	if err := v.TryDisk(); err != nil {
		t.Errorf("TryDisk: %v", err)
	}
	if _, ok := v.Setting("paused"); !ok && f.bucket != string(bucketSettings) {
		t.Error("the program is not paused any more")
	}
	if err := v.Sweep(time.Now()); err != nil {
		t.Errorf("Sweep: %v", err)
	}
	for name, want := range w.randoms {
		if got, err := v.Random(name, len(want)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s = %x, %v, want %x as before", name, got, err, want)
		}
	}
}

// remove deletes what is damaged, as its owner would.
func remove(v *Vault, d Damage) error {
	switch d.Kind {
	case DamagedServer:
		return v.DeleteEndpoint(d.ID)
	case DamagedKey:
		return v.DeleteCredential(d.ID)
	case DamagedApp:
		return v.DeleteGrant(d.ID)
	case DamagedSetting:
		return v.SetSetting(d.ID, nil)
	case DamagedSecret:
		return v.DeleteSecret(d.ID)
	}
	return nil
}

// TestEveryRecordFlipped flips bits in every record in turn, in its key and its
// value. Everything else works, before and after a restart; what is damaged is
// named; and once that is deleted, nothing is left to name.
func TestEveryRecordFlipped(t *testing.T) {
	t.Parallel()
	servers := 2
	if testenv.InCI() {
		servers = 5 // then buckets have pages of their own
	}
	w := newFlipWorld(t, servers)
	sound := contents(t, w.dir, stateFile)
	master := contents(t, w.dir, keychain.KeyFile)
	base := t.TempDir()
	n := 0
	for name := range allRecords(t, w.dir) {
		bucket, quoted, _ := strings.Cut(name, "/")
		var key string
		fmt.Sscanf(quoted, "%q", &key)
		value := rawRecord(t, w.dir, bucket, key)
		places := []int{len(key) - 1, len(key) + len(value)/2}
		if testenv.InCI() {
			places = append(places, 0, len(key)+len(value)-1)
		}
		for _, at := range places {
			file := flipBit(sound, key, value, at, n%8)
			if file == nil {
				continue
			}
			n++
			dir := filepath.Join(base, fmt.Sprint(n))
			if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, stateFile), file, 0o600),
				os.WriteFile(filepath.Join(dir, keychain.KeyFile), master, 0o600)); err != nil {
				t.Fatal(err)
			}
			f := flipped{bucket, key}
			w.checkFlipped(t, dir, f, at < len(key))
			if t.Failed() {
				t.Fatalf("after a bit of %s %q at %d of %d+%d was flipped", bucket, key, at, len(key), len(value))
			}
			os.RemoveAll(dir)
		}
	}
	t.Logf("%d flips", n)
}

func (w *flipWorld) checkFlipped(t *testing.T, dir string, f flipped, inKey bool) {
	t.Helper()
	v := openFileMode(t, dir)
	defer func() { v.Close() }()
	w.check(t, v, f)
	v.scrub()
	damages := v.Damages()
	named := map[string]DamageKind{
		string(bucketEndpoints): DamagedServer, string(bucketCreds): DamagedKey, "grants": DamagedApp, "tokens": DamagedApp, string(bucketSettings): DamagedSetting,
	}
	if w.repaired(f) && !inKey {
		if notes := v.Notes(); len(damages) > 0 || len(notes) != 1 || notes[0].Kind != NoteRepaired {
			t.Errorf("Damages = %+v and Notes = %+v, want a note of the repair", damages, notes)
		}
	} else if kind, ok := named[f.bucket]; ok && (len(damages) != 1 || damages[0].Kind != kind) {
		t.Errorf("Damages = %+v, want one %s", damages, kind)
	} else if strings.HasPrefix(f.key, kindQuery+"/") && (len(damages) != 1 || damages[0].Kind != DamagedServer) {
		t.Errorf("Damages = %+v, want the server whose address lost its query", damages)
	} else if !ok && f.bucket != string(bucketSealed) && len(damages) > 0 {
		t.Errorf("Damages = %+v, want none", damages)
	}
	if len(damages) == 1 && ok(named, f.bucket) && !inKey && !strings.HasPrefix(f.key, damages[0].ID) {
		t.Errorf("Damages = %+v, want %s", damages, f.key)
	}
	if id, ok := strings.CutPrefix(f.key, kindKey+"/"); ok && f.bucket == string(bucketSealed) {
		// It is not gone: pasting the key again repairs it.
		if len(damages) != 1 || damages[0].Kind != DamagedSealedKey || damages[0].ID != id || v.KeyTrouble(damages[0].Slug, id) != endpoint.TroubleDamaged {
			t.Errorf("Damages = %+v, want the key of %s", damages, id)
		}
		if c, _ := v.Credential(id); c.State != endpoint.KeyNeeded {
			t.Errorf("the credential reads %q, want %q", c.State, endpoint.KeyNeeded)
		}
		if err := v.ReplaceKey(id, endpoint.NewSecret("again"), endpoint.Working); err != nil {
			t.Error(err)
		}
		checkKey(t, v, id, "again")
	}
	for _, d := range damages {
		if err := remove(v, d); err != nil {
			t.Errorf("remove %+v: %v", d, err)
		}
	}
	if left := v.Damages(); len(left) > 0 {
		t.Errorf("after they were deleted, Damages = %+v", left)
	}
	closeVault(t, v)
	v = openFileMode(t, dir)
	w.check(t, v, f)
	v.scrub()
	if left := v.Damages(); len(left) > 0 {
		t.Errorf("after a restart, Damages = %+v", left)
	}
	// The app can connect again.
	if f.bucket == "grants" && !inKey {
		addGrant(t, v, f.key, w.grants[f.key][0], w.grants[f.key][1])
	}
}

func ok[K comparable, V any](m map[K]V, k K) bool { _, ok := m[k]; return ok }

// rawRecord returns a record as it is in the file.
func rawRecord(t *testing.T, dir, bucket, key string) (value []byte) {
	t.Helper()
	edit(t, dir, func(tx *bbolt.Tx) error {
		value = bytes.Clone(tx.Bucket([]byte(bucket)).Get([]byte(key)))
		return nil
	})
	return value
}

// flipBit flips a bit of a record, wherever the file has it. It returns nil if
// there is no such bit.
func flipBit(sound []byte, key string, value []byte, at, bit int) []byte {
	record := append([]byte(key), value...)
	if at >= len(record) || len(record) < 4 {
		return nil
	}
	file := slices.Clone(sound)
	found := false
	for from := 0; ; {
		i := bytes.Index(file[from:], record)
		if i < 0 {
			break
		}
		file[from+i+at] ^= 1 << bit
		from += i + len(record)
		found = true
	}
	if !found {
		return nil
	}
	return file
}
