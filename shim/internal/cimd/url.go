package cimd

import (
	"errors"
	"strings"
)

const (
	maxID    = 2000
	maxHost  = 253 // RFC 1035, Section 2.3.4
	maxLabel = 63
)

// checkURL returns what is wrong with a client id that is a URL, if anything.
// It checks the text itself: a parser that repairs its input would let two ids
// name one document, and could see another host than a later request does.
// Beyond the draft's rules (Section 3) it requires a host that can be on the
// public internet, and the https port.
func checkURL(raw string) error {
	if len(raw) > maxID {
		return errors.New("the client id is longer than 2,000 bytes")
	}
	rest, ok := strings.CutPrefix(raw, "https://")
	if !ok {
		return errors.New("the client id must begin with https://")
	}
	for i := range len(raw) {
		switch c := raw[i]; {
		case c <= ' ' || c >= 0x7f:
			return errors.New("white space, control and non-ASCII characters are not allowed in a client id")
		case strings.IndexByte("\"<>\\^`{|}", c) >= 0:
			return errors.New("quotes, braces and backslashes are not allowed in a client id")
		case c == '#':
			return errors.New("a fragment is not allowed in a client id")
		}
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 || rest[end] != '/' {
		return errors.New("the client id has no path")
	}
	if err := checkHost(rest[:end]); err != nil {
		return err
	}
	path, query, _ := strings.Cut(rest[end:], "?")
	if path == "/" {
		return errors.New("the client id has no path")
	}
	if err := checkEscapes(path); err != nil {
		return err
	}
	if err := checkEscapes(query); err != nil {
		return err
	}
	for seg := range strings.SplitSeq(path, "/") {
		switch strings.ReplaceAll(strings.ToLower(seg), "%2e", ".") {
		case ".", "..":
			return errors.New("dot segments are not allowed in a client id")
		}
	}
	return nil
}

// checkHost requires a host name, RFC 1123, Section 2.1, with at least two
// labels. Numbers are rejected in every spelling that some resolver takes for
// an address: no client is at one.
func checkHost(host string) error {
	if strings.Contains(host, "@") {
		return errors.New("user information is not allowed in a client id")
	}
	host = strings.TrimSuffix(host, ":443")
	if strings.Contains(host, ":") {
		return errors.New("the port of a client id must be 443")
	}
	labels := strings.Split(host, ".")
	if len(host) > maxHost || len(labels) < 2 {
		return errors.New("the host of a client id must be a full domain name")
	}
	for _, l := range labels {
		if l == "" || len(l) > maxLabel || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, letters+"0123456789-_") != "" {
			return errors.New("the host of a client id is not a domain name")
		}
	}
	if last := labels[len(labels)-1]; strings.IndexByte(letters, last[0]) < 0 {
		return errors.New("the host of a client id must not be an address")
	}
	return nil
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// checkEscapes rejects invalid escapes, and escapes of characters that servers
// treat differently: an escaped slash may or may not end a segment.
func checkEscapes(s string) error {
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			continue
		}
		if i+2 >= len(s) {
			return errors.New("the client id is not correctly encoded")
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi < 0 || lo < 0 {
			return errors.New("the client id is not correctly encoded")
		}
		switch c := byte(hi<<4 | lo); {
		case c < ' ' || c == 0x7f || c == '/' || c == '\\':
			return errors.New("escaped slashes and control characters are not allowed in a client id")
		}
		i += 2
	}
	return nil
}

// unhex returns the value of a hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
