package oauth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync/atomic"

	"github.com/key2oauth/key2oauth/shim/display"
)

// Methods of client authentication, RFC 7591, Section 2.
const (
	authNone  = "none"
	authPost  = "client_secret_post"
	authBasic = "client_secret_basic"
)

const (
	clientPrefix  = "k2o_c_"
	secretPrefix  = "k2o_cs_"
	maxClientID   = 2000
	maxClientName = 100
	clientTagLen  = 16 // bytes of the HMAC
)

// A Client is a registered OAuth client.
type Client struct {
	ID           string
	Name         string // may be empty; what the client calls itself
	RedirectURIs []string
	AuthMethod   string // none, client_secret_post or client_secret_basic
	Host         string // host of the client id if that is a URL, else empty
	Unchecked    bool   // the document that Host should serve was not read
	Copy         bool   // from a stored copy, since the document cannot be reached now
	BuiltIn      bool   // its document is built into the program

	anySecret bool // the client never chose between post and basic
}

// App is who the client is, for people. What a document proves is its host. If
// it was not read, even that is only what the client says of itself.
func (c *Client) App() display.App {
	if c.Unchecked {
		return display.App{Name: c.Host}
	}
	return display.App{Name: c.Name, Host: c.Host, Known: c.BuiltIn}
}

// Clients makes and reads self-contained client ids, RFC 7591, Appendix A.5.2:
// the id carries the registration, authenticated by our key. Registering
// stores nothing, a flood of registrations fills nothing, and an id that a
// client kept for a year still works.
type Clients struct {
	Key [32]byte // random; must not be zero

	moved atomic.Pointer[[][32]byte]
}

// SetMoved says which keys came along from other computers. The clients that
// were registered there are known here too; new ones get ids of our own key.
func (c *Clients) SetMoved(keys [][32]byte) { c.moved.Store(&keys) }

// A registration is the content of a client id. Its field names are short
// because the id travels in URLs.
type registration struct {
	RedirectURIs []string `json:"r"`
	Name         string   `json:"n,omitempty"`
	Method       string   `json:"m,omitempty"`
	// Nonce makes ids of clients with a secret differ. Without it, registering
	// the same metadata again would give the same secret.
	Nonce string `json:"x,omitempty"`
}

// Values of registration.Method.
const (
	codeNone   = ""
	codePost   = "p"
	codeBasic  = "b"
	codeSecret = "s" // none asked for: RFC 7591 means basic, and post works too
)

func (c *Clients) mac(purpose, s string) []byte {
	if c.Key == ([32]byte{}) {
		panic("oauth: Clients.Key is not set")
	}
	return mac(c.Key, purpose, s)
}

func mac(key [32]byte, purpose, s string) []byte {
	h := hmac.New(sha256.New, key[:])
	h.Write([]byte(purpose))
	h.Write([]byte(s))
	return h.Sum(nil)
}

// tag authenticates the text of the id rather than what it decodes to, which
// makes the text unique.
func (c *Clients) tag(body string) string { return tagOf(c.mac("client_id", body)) }

func tagOf(mac []byte) string { return base64.RawURLEncoding.EncodeToString(mac[:clientTagLen]) }

// encode returns the id of a registration.
func (c *Clients) encode(r registration) (id string, err error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // "&" in a redirect URI is one byte, not six
	if err := enc.Encode(r); err != nil {
		return "", err
	}
	body := base64.RawURLEncoding.EncodeToString(bytes.TrimSpace(b.Bytes()))
	return clientPrefix + body + "." + c.tag(body), nil
}

// secret derives the client's secret from its id, so it is not stored.
func (c *Clients) secret(id string) string {
	body, tag, _ := strings.Cut(strings.TrimPrefix(id, clientPrefix), ".")
	key, _, ok := c.keyOf(body, tag)
	if !ok {
		key = c.Key
	}
	return secretPrefix + base64.RawURLEncoding.EncodeToString(mac(key, "secret", id))
}

// keyOf finds the key that made the tag of a client id.
func (c *Clients) keyOf(body, tag string) (key [32]byte, moved, ok bool) {
	if subtle.ConstantTimeCompare([]byte(tag), []byte(c.tag(body))) == 1 {
		return c.Key, false, true
	}
	if keys := c.moved.Load(); keys != nil {
		for _, k := range *keys {
			if subtle.ConstantTimeCompare([]byte(tag), []byte(tagOf(mac(k, "client_id", body)))) == 1 {
				return k, true, true
			}
		}
	}
	return key, false, false
}

// Lookup decodes a client id. ok is false if Register did not make it.
func (c *Clients) Lookup(clientID string) (Client, bool) {
	rest, ok := strings.CutPrefix(clientID, clientPrefix)
	if !ok || len(clientID) > maxClientID {
		return Client{}, false
	}
	body, tag, ok := strings.Cut(rest, ".")
	if !ok {
		return Client{}, false
	}
	_, moved, ok := c.keyOf(body, tag)
	if !ok {
		return Client{}, false
	}
	b, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return Client{}, false
	}
	var r registration
	if err := json.Unmarshal(b, &r); err != nil {
		return Client{}, false
	}
	// The maker of the file that a key came in may have made ids too.
	if moved && (CheckRedirectURIs(r.RedirectURIs) != nil || CleanName(r.Name) != r.Name) {
		return Client{}, false
	}
	cl := Client{ID: clientID, Name: r.Name, RedirectURIs: r.RedirectURIs}
	switch r.Method {
	case codeNone:
		cl.AuthMethod = authNone
	case codePost:
		cl.AuthMethod = authPost
	case codeBasic:
		cl.AuthMethod = authBasic
	case codeSecret:
		cl.AuthMethod, cl.anySecret = authBasic, true
	default:
		return Client{}, false
	}
	return cl, true
}

// CleanName makes a name that a stranger chose safe to show and to store.
func CleanName(s string) string { return display.Bounded(s, maxClientName, 4*maxClientName) }
