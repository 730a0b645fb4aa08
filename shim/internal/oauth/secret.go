package oauth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// Prefixes make a leaked token easy to find, and show its kind.
const (
	codePrefix    = "k2o_ac_"
	accessPrefix  = "k2o_at_"
	refreshPrefix = "k2o_rt_"
)

const (
	secretLen   = 43 // 256 bits in base64url
	maxGrantID  = 64
	maxTokenLen = len(accessPrefix) + maxGrantID + 1 + secretLen
)

// NewGrantID returns a grant id. It is not secret: each of the grant's tokens
// contains it, which makes the reuse of a token attributable. People type it
// on a command line, so it is short and has only letters and digits.
func NewGrantID() string { return strings.ToLower(rand.Text()[:16]) }

// newToken makes a token of a grant. Only its digest may be stored.
func newToken(prefix, grant string) (token string, d Digest) {
	var b [32]byte
	rand.Read(b[:])
	token = prefix + grant + "." + base64.RawURLEncoding.EncodeToString(b[:])
	return token, digest(token)
}

// digest returns the stored form of a token. It is on the path of every call,
// so the copy that the hash needs stays on the stack.
func digest(token string) Digest {
	if len(token) > maxTokenLen {
		return sha256.Sum256([]byte(token))
	}
	var b [maxTokenLen]byte
	return sha256.Sum256(b[:copy(b[:], token)])
}

// tokenGrant returns the id of the grant that token claims to belong to. ok is
// false if newToken cannot have made the token.
func tokenGrant(prefix, token string) (grant string, ok bool) {
	rest, ok := strings.CutPrefix(token, prefix)
	if !ok || len(token) > maxTokenLen {
		return "", false
	}
	grant, secret, ok := strings.Cut(rest, ".")
	if !ok || grant == "" || len(grant) > maxGrantID || len(secret) != secretLen {
		return "", false
	}
	for i := range len(grant) {
		if c := grant[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return "", false
		}
	}
	if !isBase64URL(secret) {
		return "", false
	}
	return grant, true
}

func isBase64URL(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
