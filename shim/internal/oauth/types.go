package oauth

import (
	"errors"
	"time"
)

// A Digest is the SHA-256 of a token. Stores know tokens only by their digest.
type Digest [32]byte

// A Kind is a kind of token.
type Kind uint8

// The kinds of token. Codes are stored like tokens, so a crash between consent
// and token request loses nothing.
const (
	Code Kind = iota + 1
	AccessToken
	RefreshToken
)

// A Grant is the result of one consent: one client may use one endpoint with
// one credential. Tokens belong to it and end with it.
type Grant struct {
	ID          string
	Slug        string // the endpoint
	Origin      string // its issuer; tokens are valid only there
	ClientID    string
	ClientName  string // what the client calls itself
	Verified    bool   // the host of ClientID served a document with that name
	RedirectURI string // as requested, port included
	Credential  string // id of the credential that calls use
	Scope       string
	// Began is how the sign-in came, in the caller's words, which says whose
	// browser got the answer. It is "" for grants from before this was kept.
	Began        string
	Created      time.Time
	LastUsed     time.Time
	CodeRedeemed bool // false until the code was exchanged

	// Branches are the chains of refresh tokens, if there are several.
	Branches []Branch
	// InTwoPlaces is since when two of them have been in use, or zero.
	InTwoPlaces time.Time
	// OwnUsed are the last refresh tokens whose first use came from our own OS
	// user, as the kernel showed.
	OwnUsed []Digest
}

// DocumentID is the URL of the document that described the client, or "".
func (g *Grant) DocumentID() string {
	if g.Verified {
		return g.ClientID
	}
	return ""
}

// A Token is the stored part of a code, an access token or a refresh token.
type Token struct {
	Kind    Kind
	Expires time.Time
	Scope   string

	// Of a code.
	RedirectURI string
	Challenge   string // RFC 7636 S256
	Used        bool   // kept after use to detect a replay

	// Of a refresh token. Parent is the refresh token that it replaced.
	// SuccessorUsed is when a successor was first used, or zero.
	Parent        Digest
	SuccessorUsed time.Time
	Superseded    bool
}

// ErrNotFound means that a store has no such grant.
var ErrNotFound = errors.New("no such grant")

// ErrUnavailable wraps a store's error when the disk is full or not writable:
// the request failed, nothing changed, and a retry may succeed.
var ErrUnavailable = errors.New("the state cannot be written")

// A Store keeps grants and their tokens. Each method is atomic, and durable
// when it returns nil.
type Store interface {
	// CreateGrant saves a new grant with its first token, the code.
	CreateGrant(g Grant, code Digest, t Token) error
	// Grant reads one grant, or ErrNotFound.
	Grant(id string) (Grant, error)
	// Grants lists all, oldest first.
	Grants() ([]Grant, error)
	// Token reads one token of a grant. ok is false if there is none.
	Token(grant string, d Digest) (t Token, ok bool, err error)
	// UpdateGrant runs f in one read-write transaction, and commits if f
	// returns nil. It returns ErrNotFound if there is no such grant.
	UpdateGrant(id string, f func(tx Tx) error) error
	// DeleteGrant deletes a grant with its tokens, and a credential that only
	// this grant uses. It returns ErrNotFound if there is none.
	DeleteGrant(id string) error
	// TouchGrants saves last-used times. It may batch them.
	TouchGrants(used map[string]time.Time) error
	// Sweep deletes tokens that expired before now, possibly some time later,
	// and grants without tokens.
	Sweep(now time.Time) error
}

// A Tx is a transaction on one grant.
type Tx interface {
	// Grant is a copy; SetGrant saves it.
	Grant() Grant
	SetGrant(Grant)
	Token(Digest) (Token, bool)
	SetToken(Digest, Token)
	DeleteToken(Digest)
	// Delete ends the grant and deletes its tokens and a credential that only
	// this grant uses.
	Delete()
}
