package keychain

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

// A keyID tells master keys apart and reveals nothing about them.
type keyID [8]byte

// A MasterKey seals and opens records. It is used with a kind, an id and a URL
// that are authenticated with the text: a record opens only as what it was
// sealed for.
type MasterKey struct {
	text endpoint.Secret // as the keychain keeps it: 44 characters of base64
	id   keyID
	aead cipher.AEAD
}

// newMasterKey makes a random one.
func newMasterKey() *MasterKey {
	raw := make([]byte, 32)
	rand.Read(raw)
	m, err := parseMasterKey(base64.StdEncoding.EncodeToString(raw))
	if err != nil {
		panic(err) // impossible: 32 bytes are what is parsed
	}
	return m
}

// parseMasterKey reads what a keychain or a key file holds.
func parseMasterKey(text string) (*MasterKey, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != 32 {
		return nil, errors.New("it is not a master key, which is 44 characters of base64")
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
	m := &MasterKey{text: endpoint.NewSecret(text), aead: aead}
	mac := hmac.New(sha256.New, raw)
	mac.Write([]byte("key id"))
	copy(m.id[:], mac.Sum(nil))
	return m, nil
}

// A sealed record is a version, the id of its master key, and the text encrypted
// with AES-256-GCM, random nonce first.
const (
	sealedVersion = 1
	sealedHeader  = 1 + len(keyID{})
)

var errSealed = errors.New("the sealed record cannot be opened")

// Seal encrypts text. It opens only as the record of this kind and id for this
// URL.
func (m *MasterKey) Seal(kind, id, url, text string) []byte {
	b := append([]byte{sealedVersion}, m.id[:]...)
	return m.aead.Seal(b, nil, []byte(text), additional(kind, id, url))
}

// Open decrypts what Seal encrypted.
func (m *MasterKey) Open(kind, id, url string, sealed []byte) (string, error) {
	if !m.Sealed(sealed) {
		return "", errSealed
	}
	text, err := m.aead.Open(nil, nil, sealed[sealedHeader:], additional(kind, id, url))
	if err != nil {
		return "", errSealed
	}
	return string(text), nil
}

// Sealed reports whether a record names this master key. Only Open can tell
// whether it is sound. A nil MasterKey sealed nothing.
func (m *MasterKey) Sealed(record []byte) bool {
	return m != nil && len(record) >= sealedHeader && record[0] == sealedVersion &&
		keyID(record[1:sealedHeader]) == m.id
}

// Same reports whether both are the same key. Either may be nil.
func (m *MasterKey) Same(other *MasterKey) bool {
	return m == other || m != nil && other != nil && m.id == other.id
}

// additional is the data that a record is bound to. Lengths keep parts apart
// that would otherwise run into each other.
func additional(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}
