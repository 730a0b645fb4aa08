package endpoint

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// A Secret is an API key, a token or a key of ours. It prints, logs and
// marshals as "[redacted]" or not at all; code that must send it says so by
// calling Reveal. The string sits behind a pointer because fmt ignores the
// methods of unexported fields.
type Secret struct{ p *string }

const redacted = "[redacted]"

// NewSecret wraps s.
func NewSecret(s string) Secret { return Secret{&s} }

// Reveal returns the secret itself. Every call is a place to audit.
func (s Secret) Reveal() string {
	if s.p == nil {
		return ""
	}
	return *s.p
}

// IsZero reports whether there is no secret, or an empty one.
func (s Secret) IsZero() bool { return s.p == nil || *s.p == "" }

func (s Secret) String() string       { return redacted }
func (s Secret) GoString() string     { return redacted }
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format keeps every verb from reaching the pointer.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalText refuses: a secret is written by code that calls Reveal.
func (s Secret) MarshalText() ([]byte, error) {
	return nil, errors.New("refusing to marshal a secret")
}
