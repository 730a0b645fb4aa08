package tunnel

import (
	"errors"
	"net/url"
	"strings"
)

// A Wish is how the owner wants to be reached.
type Wish struct {
	Provider string // ProviderOff, ProviderNgrok or ProviderExternal
	// URL is the public origin of an external tunnel, and for ngrok the one
	// that the owner asked for. If it is empty, ngrok chooses.
	URL       string
	Known     string    // the public origin that apps were given, or ""
	Preset    string    // of an external tunnel: the ID of the program that runs it
	Authtoken Authtoken // of ngrok
	Paused    bool      // keep it closed for now
}

// Same reports whether v asks for the tunnel that w asks for. Known does not
// count: what a tunnel learned when it opened is no reason to open it again.
func (w Wish) Same(v Wish) bool {
	return w.Provider == v.Provider && w.URL == v.URL && w.Preset == v.Preset && w.Paused == v.Paused &&
		w.Authtoken.Reveal() == v.Authtoken.Reveal()
}

// Check returns the wish with its URL in the one form that issuers have, or a
// *WishError. Which presets there are is for package tunnel/external to say.
func (w Wish) Check() (Wish, error) {
	raw := strings.TrimSpace(w.URL)
	switch {
	case raw == "" && w.Provider == ProviderExternal:
		return w, &WishError{Err: errors.New("an external tunnel needs its public URL, such as https://mcp.example.com")}
	case raw == "":
		return w, nil
	case !strings.Contains(raw, "://"):
		raw = "https://" + raw
	}
	origin, err := ParseOrigin(raw)
	if err != nil {
		return w, &WishError{Err: err}
	}
	if u, err := url.Parse(origin); err != nil || isLoopback(u.Hostname()) {
		return w, &WishError{Err: errors.New("the public URL must be one that the internet reaches, not this computer's own")}
	}
	w.URL = origin
	return w, nil
}

func isLoopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// A WishError says what is wrong with a Wish.
type WishError struct {
	Field string // "preset"; "" means the URL
	Err   error
}

func (e *WishError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *WishError) Unwrap() error { return e.Err }
