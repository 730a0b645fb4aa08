package vault

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
)

const testToken = "canary-authtoken-77aa"

func checkSecret(t testing.TB, v *Vault, want string) {
	t.Helper()
	if got, err := v.Secret("ngrok"); err != nil || got.Reveal() != want {
		t.Errorf("Secret(ngrok) = %q, %v, want %q", got.Reveal(), err, want)
	}
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	v := openFileMode(t, dir)
	if _, err := v.Secret("ngrok"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Secret before there is one: %v, want ErrNotFound", err)
	}
	for _, s := range []string{"an older one", testToken} {
		if err := v.SaveSecret("ngrok", endpoint.NewSecret(s)); err != nil {
			t.Fatal(err)
		}
		checkSecret(t, v, s)
	}
	closeVault(t, v)
	if bytes.Contains(contents(t, dir, stateFile), []byte(testToken)) {
		t.Error("the state file holds the secret in the clear")
	}

	v = openFileMode(t, dir)
	checkSecret(t, v, testToken)
	if err := v.DeleteSecret("ngrok"); err != nil {
		t.Fatal(err)
	}
	if err := v.DeleteSecret("ngrok"); err != nil {
		t.Errorf("DeleteSecret of none: %v, want nil", err)
	}
	closeVault(t, v)
	v = openFileMode(t, dir)
	if _, err := v.Secret("ngrok"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Secret after DeleteSecret and a restart: %v, want ErrNotFound", err)
	}
}

// A sealed secret opens only under its own name and kind, and only with its own
// master key.
func TestSecretsDoNotMove(t *testing.T) {
	dir := t.TempDir()
	v := openFileMode(t, dir)
	addEndpoint(t, v, testSlug, "")
	key := saveKey(t, v, testSlug, "", testKey)
	if err := v.SaveSecret("ngrok", endpoint.NewSecret(testToken)); err != nil {
		t.Fatal(err)
	}
	closeVault(t, v)
	edit(t, dir, func(tx *bbolt.Tx) error {
		api, token := getSealed(tx, kindKey, key.ID), getSealed(tx, kindSecret, "ngrok")
		return errors.Join(putSealed(tx, kindSecret, "ngrok", api), putSealed(tx, kindSecret, "other", token))
	})
	v = openFileMode(t, dir)
	for _, name := range []string{"ngrok", "other"} {
		if got, err := v.Secret(name); !errors.Is(err, ErrKeyNeeded) {
			t.Errorf("Secret(%s), with a record that was another's = %q, %v, want ErrKeyNeeded", name, got.Reveal(), err)
		}
	}
	closeVault(t, v)

	if err := os.Remove(filepath.Join(dir, keychain.KeyFile)); err != nil {
		t.Fatal(err)
	}
	edit(t, dir, func(tx *bbolt.Tx) error { return tx.Bucket(bucketSealed).Delete(sealedKey(kindSecret, "other")) })
	v = openFileMode(t, dir)
	if _, err := v.Secret("ngrok"); !errors.Is(err, ErrKeyNeeded) {
		t.Errorf("Secret under another master key: %v, want ErrKeyNeeded", err)
	}
	if err := v.SaveSecret("ngrok", endpoint.NewSecret(testToken)); err != nil {
		t.Fatal(err)
	}
	checkSecret(t, v, testToken)
}
