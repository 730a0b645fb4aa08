package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// The kinds of sealed records.
const (
	kindKey    = "key"    // an API key; its id is the credential's
	kindQuery  = "query"  // the query of an upstream URL; its id is the slug
	kindSecret = "secret" // what the program itself signs in with elsewhere; its id is a name
)

// A keyID tells master keys apart without saying anything about them.
type keyID [8]byte

// A masterKey seals and opens records.
type masterKey struct {
	text endpoint.Secret // as the keychain keeps it: 44 characters of base64
	id   keyID
	aead cipher.AEAD
}

// newMasterKey makes a random one.
func newMasterKey() *masterKey {
	raw := make([]byte, 32)
	rand.Read(raw)
	m, err := parseMasterKey(base64.StdEncoding.EncodeToString(raw))
	if err != nil {
		panic(err) // cannot be: 32 bytes are what is parsed
	}
	return m
}

// parseMasterKey reads what a keychain or a key file holds.
func parseMasterKey(text string) (*masterKey, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != 32 {
		return nil, errors.New("it is not a master key: 44 characters of base64 were expected")
	}
	derived, err := hkdf.Key(sha256.New, raw, nil, "key2oauth sealed records 1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	m := &masterKey{text: endpoint.NewSecret(text), aead: aead}
	mac := hmac.New(sha256.New, raw)
	mac.Write([]byte("key id"))
	copy(m.id[:], mac.Sum(nil))
	return m, nil
}

// A sealed record is a version, the id of its master key, and what AES-256-GCM
// makes of the text, random nonce first.
const (
	sealedVersion = 1
	sealedHeader  = 1 + len(keyID{})
)

var errSealed = errors.New("the sealed record cannot be opened")

// seal encrypts text so that it opens only as the record of this kind and id
// for this upstream URL.
func (m *masterKey) seal(kind, id, url, text string) []byte {
	b := append([]byte{sealedVersion}, m.id[:]...)
	return m.aead.Seal(b, nil, []byte(text), additional(kind, id, url))
}

// open is the reverse of seal.
func (m *masterKey) open(kind, id, url string, sealed []byte) (string, error) {
	by, ok := sealedBy(sealed)
	if !ok || by != m.id {
		return "", errSealed
	}
	text, err := m.aead.Open(nil, nil, sealed[sealedHeader:], additional(kind, id, url))
	if err != nil {
		return "", errSealed
	}
	return string(text), nil
}

// sealedBy names the master key of a sealed record. ok is false if it is none.
func sealedBy(sealed []byte) (id keyID, ok bool) {
	if len(sealed) < sealedHeader || sealed[0] != sealedVersion {
		return id, false
	}
	copy(id[:], sealed[1:])
	return id, true
}

// additional is what a record is bound to. Lengths keep apart what would
// otherwise read the same.
func additional(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}

// sealedKey is the name of a record in its bucket.
func sealedKey(kind, id string) []byte { return []byte(kind + "/" + id) }
