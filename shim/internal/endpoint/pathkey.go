package endpoint

import (
	"net/url"
	"strings"
)

// minPathKey is how many characters of a segment must be no words before it
// counts as a key. The answer guard watches nothing shorter.
const minPathKey = 16

// hidden stands for what is not shown of an address, and hiddenEscaped is the
// same in a path.
const (
	hidden        = "\u2026"
	hiddenEscaped = "%E2%80%A6"
)

// KeysInPath returns what in an escaped path looks like a key, as it stands
// there: long, and not made of words. ids says that ids count too, which look
// alike: UUIDs, and others that are hexadecimal. Tools answer with the id of a
// project, and the app needs it there, so the guard leaves ids alone if the key
// is known to be elsewhere, unless the path names them as a key.
func KeysInPath(escaped string, ids bool) (keys []string) {
	before := ""
	for segment := range strings.SplitSeq(escaped, "/") {
		for part := range strings.SplitSeq(segment, ";") {
			name, value, ok := strings.Cut(part, "=")
			if !ok || strings.Trim(value, "=") == "" { // padding of base64
				name, value = before, part
			}
			text, err := url.PathUnescape(value)
			if err != nil {
				text = value
			}
			if letters(text) >= minPathKey && (ids || NamesSecret(name) || !isID(text)) {
				keys = append(keys, value)
			}
		}
		before = segment
	}
	return keys
}

// letters counts the letters and digits of a text that belong to no word.
func letters(text string) (n int) {
	for _, part := range alphanumerics(text) {
		if !isWord(part) {
			n += len(part)
		}
	}
	return n
}

func alphanumerics(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return !isUpper(c) && !isLower(c) && !isDigit(c) })
}

func isUpper(c rune) bool { return 'A' <= c && c <= 'Z' }
func isLower(c rune) bool { return 'a' <= c && c <= 'z' }
func isDigit(c rune) bool { return '0' <= c && c <= '9' }

func count(s string, is func(rune) bool) (n int) {
	for _, c := range s {
		if is(c) {
			n++
		}
	}
	return n
}

// isWord takes words in one case or with few capitals, numbers of at most four
// digits, and a word beside such a number, as in v2 or server2026.
func isWord(part string) bool {
	word := strings.TrimFunc(part, isDigit)
	if len(part)-len(word) > 4 || count(word, isDigit) > 0 {
		return false
	}
	upper := count(word, isUpper)
	return upper == len(word) || 3*upper <= len(word)
}

// isID takes UUIDs and other hexadecimal ids, and ULIDs.
func isID(text string) bool {
	joined := strings.ToLower(strings.Join(alphanumerics(text), ""))
	return strings.Trim(joined, "0123456789abcdef") == "" || len(text) == 26 && strings.ToUpper(text) == text
}

// NamesSecret reports whether a name is one for a secret, such as api_key,
// accessToken or the code of Azure's functions.
func NamesSecret(name string) bool {
	name = strings.NewReplacer("-", "", "_", "", ".", "", "[", "", "]", "").Replace(strings.ToLower(name))
	for _, end := range []string{"key", "token", "secret", "pass", "password", "passwd", "pwd", "auth", "authorization", "credential", "credentials", "signature", "sig", "pat", "jwt", "code"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// hides reports whether an address has a part that is not shown.
func hides(address string) bool {
	return strings.Contains(address, hidden) || strings.Contains(strings.ToUpper(address), hiddenEscaped)
}

// hidePath returns an address without what looks like a key in its path.
func hidePath(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	start := strings.Index(address, "://") + len("://") + len(u.Host)
	if start > len(address) {
		return address
	}
	path := address[start:]
	for _, key := range KeysInPath(path, true) {
		path = strings.ReplaceAll(path, key, hidden)
	}
	return address[:start] + strings.ReplaceAll(path, hiddenEscaped, hidden)
}
