package oauth

import (
	"errors"
	"time"
)

// A Digest is the SHA-256 of a token. Stores know tokens by nothing else.
type Digest [32]byte

// A Kind tells tokens apart.
type Kind uint8

// The kinds of token. Codes are kept like tokens, so that a crash between
// consent and the token request loses nothing.
const (
	Code Kind = iota + 1
	AccessToken
	RefreshToken
)

// A Grant is what one consent makes: one client may use one endpoint with one
// credential. Tokens belong to it and end with it.
type Grant struct {
	ID           string
	Slug         string // the endpoint
	Origin       string // issuer that it was made on; tokens are good there only
	ClientID     string
	ClientName   string // self-declared unless Verified
	Verified     bool
	RedirectURI  string // as requested, port included
	Credential   string // id of the credential that calls are made with
	Scope        string
	Created      time.Time
	LastUsed     time.Time
	CodeRedeemed bool // false until the code was exchanged
}

// A Token is what is kept of a code, an access token or a refresh token.
type Token struct {
	Kind    Kind
	Expires time.Time
	Scope   string

	// Of a code.
	RedirectURI string
	Challenge   string // RFC 7636 S256
	Used        bool   // kept after use so that a replay is noticed

	// Of a refresh token. Parent is the refresh token it replaced.
	// SuccessorUsed is when a successor was first used; it is zero before.
	Parent        Digest
	SuccessorUsed time.Time
	Superseded    bool
}

// ErrNotFound says that a store has no such grant.
var ErrNotFound = errors.New("no such grant")

// ErrUnavailable wraps what a store answers when the disk is full or cannot be
// written: the request failed, nothing changed, and trying again may work.
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
	// UpdateGrant runs f in one read-write transaction. What f did is kept if
	// f returns nil and dropped otherwise. ErrNotFound if there is no such
	// grant.
	UpdateGrant(id string, f func(tx Tx) error) error
	// DeleteGrant deletes a grant with its tokens, and the credential that
	// belongs to it alone. ErrNotFound if there is none.
	DeleteGrant(id string) error
	// TouchGrants saves last-used times. It may be batched.
	TouchGrants(used map[string]time.Time) error
	// Sweep deletes tokens that expired before now, some time after if it
	// likes, and grants that have no token left.
	Sweep(now time.Time) error
}

// A Tx is one grant inside a transaction.
type Tx interface {
	// Grant is a copy; SetGrant saves it.
	Grant() Grant
	SetGrant(Grant)
	Token(Digest) (Token, bool)
	SetToken(Digest, Token)
	DeleteToken(Digest)
	// Delete ends the grant: it goes with its tokens and the credential that
	// belongs to it alone.
	Delete()
}
