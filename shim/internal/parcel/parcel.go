// Package parcel is the file in which everything moves to another computer:
// servers with their keys, connected apps with their tokens, and how the
// internet reaches us. It is encrypted with a passphrase, and knows nothing of
// the computer that it came from but the addresses that apps use.
//
// # Format
//
// The file is an age file (https://age-encryption.org/v1) for a passphrase, so
// age itself can open it. What it holds is JSON, one object a line:
//
//	{"format":"key2oauth move 1", …}   first; see Head
//	{"server":{…}}                     one for each server
//	{"key":{…}}                        one for each saved key; after the servers
//	{"app":{…}}                        one for each connected app, with the
//	                                   digests of its tokens; after the keys
//	{"end":{"servers":1,"keys":1,"apps":1}}
//
// The number in the format is its version. A file of a later version, or with a
// member that this version does not know, is refused whole: what is left out
// might be what limits an app.
//
// A file may come from anyone who can persuade the owner to type a passphrase.
// So everything in it obeys the rules for typed values, and an app belongs to a
// server and a key of the same file: a file brings servers of its own and never
// reaches those that are here. What runs a program, or takes a key from a
// command, is not trusted because a file says so; it has to be confirmed on the
// computer where it arrives.
package parcel

import (
	"bytes"
	"errors"
	"io"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
)

// Contents are what moves.
type Contents struct {
	Head
	Servers []Server
	Keys    []Key
	Apps    []App
}

// A Head is what moves once.
type Head struct {
	Made        time.Time
	Version     string // of the program that made the file, for people
	LocalOrigin string // at which apps on the other computer know us
	// ClientKeys authenticate the ids of apps that registered themselves.
	ClientKeys []endpoint.Secret
	// AccessTTL is how long access tokens last, 0 unless the owner chose it.
	AccessTTL time.Duration
	Internet  Internet
}

// Internet is how the internet reached the other computer. All of it is empty if
// it never did.
type Internet struct {
	Provider  string
	URL       string // the address of the owner's own tunnel
	Preset    string
	Domain    string // that was asked of ngrok
	Seen      string // the public origin that apps know
	Authtoken endpoint.Secret
}

// A Server is an endpoint with the query of its upstream URL. HasQuery without
// a Query says that it could not be read.
type Server struct {
	endpoint.Endpoint
	Query endpoint.Secret
}

// A Key is a credential with its key, which is zero if it could not be read.
type Key struct {
	endpoint.Credential
	Key endpoint.Secret
}

// An App is a grant with its tokens, of which only digests are known.
type App struct {
	oauth.Grant
	Tokens map[oauth.Digest]oauth.Token
}

// What is wrong with a file. Tests compare with it.
const (
	TextNotParcel  = "This file was not made with \u201cMove to another computer\u201d."
	TextPassphrase = "This is not the passphrase of the file."
	TextTorn       = "This file is incomplete or damaged. Copy it from the other computer again."
	TextNewer      = "This file comes from a newer version of Key2OAuth. Install that version here first."
	TextLarge      = "This file is too large to come from Key2OAuth."
	TextShort      = "Use at least 12 characters. Four random words are a good choice."
	TextMonotonous = "Use at least 5 different characters. Four random words are a good choice."
)

// MaxSize bounds a file.
const MaxSize = 64 << 20

// MinPassphrase is the fewest characters of a passphrase, since anyone who has the
// file can try as many as they like.
const MinPassphrase = 12

// WorkFactor is the cost of a try: scrypt with N = 2^18 takes about a second and
// 256 MB. Files that ask for more are refused: they could ask for all memory.
// Only tests change it.
var WorkFactor = 18

// trying lets one try run at a time, since each takes so much memory.
var trying sync.Mutex

// minDifferent is how many of them differ at least: one character over and over is
// guessed at once, however often it is there.
const minDifferent = 5

// CheckPassphrase reports whether a passphrase is long enough, and no repetition
// of a few characters.
func CheckPassphrase(p endpoint.Secret) error {
	typed := []rune(strings.TrimSpace(p.Reveal()))
	if len(typed) < MinPassphrase {
		return problem.Sentence(TextShort)
	}
	different := make(map[rune]bool)
	for _, r := range typed {
		different[r] = true
	}
	if len(different) < minDifferent {
		return problem.Sentence(TextMonotonous)
	}
	return nil
}

// Seal returns the file of c, encrypted with a passphrase.
func Seal(c Contents, passphrase endpoint.Secret) ([]byte, error) {
	if err := CheckPassphrase(passphrase); err != nil {
		return nil, err
	}
	recipient, err := age.NewScryptRecipient(passphrase.Reveal())
	if err != nil {
		return nil, err
	}
	recipient.SetWorkFactor(WorkFactor)
	var b bytes.Buffer
	w, err := locked(func() (io.WriteCloser, error) { return age.Encrypt(&b, recipient) })
	if err == nil {
		err = errors.Join(encode(w, c), w.Close())
	}
	if err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Open reads a file that Seal made. Its errors are sentences for people, and
// repeat nothing of the file but names.
func Open(file []byte, passphrase endpoint.Secret) (Contents, error) {
	switch {
	case len(file) > MaxSize:
		return Contents{}, problem.Sentence(TextLarge)
	case !bytes.HasPrefix(file, []byte("age-encryption.org/v1\n-> scrypt ")):
		return Contents{}, problem.Sentence(TextNotParcel)
	}
	identity, err := age.NewScryptIdentity(passphrase.Reveal())
	if err != nil {
		return Contents{}, problem.Sentence(TextPassphrase)
	}
	identity.SetMaxWorkFactor(WorkFactor)
	r, err := locked(func() (io.Reader, error) { return age.Decrypt(bytes.NewReader(file), identity) })
	switch {
	case errors.Is(err, age.ErrIncorrectIdentity):
		return Contents{}, problem.Sentence(TextPassphrase)
	case err != nil:
		return Contents{}, problem.Sentence(TextTorn)
	}
	return decode(r)
}

// locked runs one try alone, and gives its memory back.
func locked[T any](try func() (T, error)) (T, error) {
	trying.Lock()
	defer trying.Unlock()
	defer debug.FreeOSMemory()
	return try()
}
