package guard

import (
	"encoding/base64"
	"net/netip"
	"net/url"
	"strings"
)

// minWatched is the length from which a secret is watched, in bytes. Asterisks
// in the place of a shorter one would confirm a guess, and damage words.
const minWatched = 16

// A Verdict says whether a secret is watched.
type Verdict string

// The verdicts.
const (
	Watched   Verdict = ""
	TooShort  Verdict = "short"
	Guessable Verdict = "guessable" // an e-mail address, a host or a number
)

// Watch says whether a secret is watched. One with control characters is not:
// no header can carry it.
func Watch(secret string) Verdict {
	switch {
	case len(secret) < minWatched:
		return TooShort
	case isNumber(secret), isHost(secret), isMail(secret), strings.ContainsFunc(secret, isControl):
		return Guessable
	}
	return Watched
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// isNumber also takes dates and telephone numbers.
func isNumber(s string) bool {
	return strings.ContainsAny(s, "0123456789") && strings.Trim(s, "0123456789+-.,:/() ") == ""
}

// isHost takes names of hosts and addresses, with a port or without, and URLs
// that name nothing else. All parts of a host's name are lower case here, and
// the last one has letters only: keys with dots in them have other parts.
func isHost(s string) bool {
	if u, err := url.Parse(s); err == nil && u.Host != "" && strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.User == nil {
		s = u.Host
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if _, err := netip.ParseAddrPort(s); err == nil {
		return true
	}
	if host, port, ok := strings.Cut(s, ":"); ok && len(port) <= 5 && isNumber(port) {
		s = host
	}
	last := ""
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
		last = label
	}
	return strings.Contains(s, ".") && 2 <= len(last) && len(last) <= 18 && strings.Trim(last, "abcdefghijklmnopqrstuvwxyz") == ""
}

func isMail(s string) bool {
	name, host, ok := strings.Cut(s, "@")
	return ok && name != "" && !strings.ContainsAny(name, ` ":/`) && isHost(strings.ToLower(host))
}

// withHalves returns the field, and what a key of HTTP's Basic scheme holds
// (RFC 7617, Section 2): the user's name too is the secret only where there is
// no password.
func (f Field) withHalves() []Field {
	all := []Field{f}
	if !strings.EqualFold(strings.TrimSpace(f.Prefix), "Basic") {
		return all
	}
	text, err := base64.StdEncoding.DecodeString(f.Value)
	if err != nil {
		return all
	}
	user, password, ok := strings.Cut(string(text), ":")
	if !ok {
		return all
	}
	if password == "" {
		password = user
	}
	return append(all, Field{Value: string(text)}, Field{Value: password})
}
