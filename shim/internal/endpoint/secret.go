package endpoint

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// A Secret is an API key, a token or a key of ours. It never prints, logs or
// marshals its value; code that must send it calls Reveal. The string is
// behind a pointer because fmt ignores the methods of unexported fields.
type Secret struct{ p *string }

const redacted = "[redacted]"

// NewSecret wraps s.
func NewSecret(s string) Secret { return Secret{&s} }

// Reveal returns the secret itself. Audit every call.
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

// Format keeps all verbs from printing the pointer.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalText always fails: code that writes a secret calls Reveal.
func (s Secret) MarshalText() ([]byte, error) {
	return nil, errors.New("refusing to marshal a secret")
}
