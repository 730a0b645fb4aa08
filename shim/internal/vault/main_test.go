package vault

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/activity"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/ring"
)

// TestMain lets the test binary stand in for the program: as the keychain's
// child process, or as a program that is killed, has no disk space or has no
// rights.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 {
		child := map[string]func(arg string) error{
			"keychain-helper": helperProcess,
			"writer":          writerProcess,
			"adder":           adderProcess,
			"deleter":         deleterProcess,
			"no-room":         noRoomProcess,
			"no-rights":       noRightsProcess,
		}[os.Args[1]]
		if child != nil {
			if err := child(os.Args[2]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// helperProcess is the keychain's child. It records what it is asked in a file.
func helperProcess(notes string) error {
	f, err := os.OpenFile(notes, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return ring.RunHelper(io.TeeReader(os.Stdin, f), os.Stdout)
}

// open opens a vault that is closed with the test.
func open(t testing.TB, cfg Config) *Vault {
	t.Helper()
	v, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// openFileMode opens a vault that needs no keychain.
func openFileMode(t testing.TB, dir string) *Vault {
	t.Helper()
	return open(t, Config{Dir: dir, Mode: keychain.ModeFile})
}

func closeVault(t testing.TB, v *Vault) {
	t.Helper()
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
}

// The names of the buckets and of the kinds of sealed records, as files have
// them.
var (
	bucketEndpoints = []byte("endpoints")
	bucketCreds     = []byte("credentials")
	bucketSealed    = []byte("sealed")
	bucketSettings  = []byte("settings")
)

const kindKey, kindQuery, kindSecret = "key", "query", "secret"

func sealedKey(kind, id string) []byte { return []byte(kind + "/" + id) }

func putSealed(tx *bbolt.Tx, kind, id string, sealed []byte) error {
	return records.PutBytes(tx, bucketSealed, sealedKey(kind, id), sealed)
}

func getSealed(tx *bbolt.Tx, kind, id string) []byte {
	sealed, _ := records.GetBytes(tx, bucketSealed, sealedKey(kind, id))
	return bytes.Clone(sealed)
}

// The endpoint and the key of most tests.
const (
	testSlug = "abcdefghijkl"
	testBase = "https://mcp.example.com/mcp"
	testKey  = "canary-key-5f2c"
)

func addEndpoint(t testing.TB, v *Vault, slug, query string) {
	t.Helper()
	err := v.AddEndpoint(endpoint.Endpoint{
		Slug: slug, BaseURL: testBase, Name: "Example", Header: endpoint.DefaultHeader,
	}, query)
	if err != nil {
		t.Fatal(err)
	}
}

func saveKey(t testing.TB, v *Vault, slug, grant, key string) endpoint.Credential {
	t.Helper()
	c, err := v.SaveCredential(slug, grant, endpoint.NewSecret(key), endpoint.Working)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func checkKey(t testing.TB, v *Vault, id, want string) {
	t.Helper()
	if got, err := v.Key(id); err != nil || got.Reveal() != want {
		t.Errorf("Key(%s) = %q, %v, want %q", id, got.Reveal(), err, want)
	}
}

func addGrant(t testing.TB, v *Vault, id, slug, credential string) {
	t.Helper()
	now := time.Now()
	err := v.CreateGrant(
		oauth.Grant{ID: id, Slug: slug, Credential: credential, Created: now, RedirectURI: "http://127.0.0.1:1/cb"},
		digestOf(id, "code"),
		oauth.Token{Kind: oauth.Code, Expires: now.Add(5 * time.Minute), Challenge: "x"},
	)
	if err != nil {
		t.Fatal(err)
	}
}

// files lists the names in a folder.
func files(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func contents(t testing.TB, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
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

func testCall(n int, at time.Time) activity.Call {
	return activity.Call{
		Time: at.UTC().Round(0), Slug: testSlug, Grant: "g1", Client: "Claude Code", Method: "tools/call",
		Tool: fmt.Sprint("tool", n), Status: 200, MS: int64(n),
	}
}
