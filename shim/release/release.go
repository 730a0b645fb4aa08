// Package release finds out whether there is a newer Key2OAuth.
//
// Once a day at most, and only if the owner wants it, one document is fetched
// from an address that is part of the build. The document holds a version and a
// date, signed with a key whose public half is part of the build too. It holds
// no link and no text, so that not even its signer can tell the owner anything
// else. The request says nothing about the owner, and nothing is downloaded or
// installed.
package release

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Document is what the newest release is.
type Document struct {
	Version string    // as in "1.2.3", without a v
	Date    time.Time // the day on which the document was signed, in UTC
}

// FreshFor is how long a Document counts after its date. The address must serve
// a newly signed one before that, which limits how long an attacker can show
// the owner an old one.
const FreshFor = 60 * 24 * time.Hour

// maxDocument is more than any Document has, in bytes.
const maxDocument = 512

const (
	firstLine = "key2oauth-release 1"
	dateForm  = time.DateOnly
)

var (
	errForm      = errors.New("it is not a release document")
	errSignature = errors.New("the signature of the release document is wrong")
	errOld       = errors.New("the release document is too old to be an answer")
	errFuture    = errors.New("the release document is of a day to come")
)

var versionForm = regexp.MustCompile(`^(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})$`)

// Sign returns the signed form of d: four lines, of which the last one is the
// Ed25519 signature (RFC 8032) of the three before it, in base64.
func Sign(d Document, key ed25519.PrivateKey) ([]byte, error) {
	if !versionForm.MatchString(d.Version) {
		return nil, fmt.Errorf("%q is not a version like 1.2.3", d.Version)
	}
	b := fmt.Appendf(nil, "%s\nversion %s\ndate %s\n", firstLine, d.Version, d.Date.UTC().Format(dateForm))
	return fmt.Appendf(b, "signature %s\n", base64.StdEncoding.EncodeToString(ed25519.Sign(key, b))), nil
}

// Read returns the Document of a signed form. Its error is for a log.
func Read(b []byte, key ed25519.PublicKey, now time.Time) (Document, error) {
	var d Document
	if len(b) > maxDocument || len(key) != ed25519.PublicKeySize {
		return d, errForm
	}
	end := bytes.Index(b, []byte("\nsignature "))
	if end < 0 {
		return d, errForm
	}
	signed, rest := b[:end+1], string(b[end+1:])
	encoded, ok := strings.CutSuffix(strings.TrimPrefix(rest, "signature "), "\n")
	if !ok {
		return d, errForm
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		return d, errForm
	}
	// Nothing is read out of bytes that no one has vouched for.
	if !ed25519.Verify(key, signed, signature) {
		return d, errSignature
	}
	lines := strings.Split(string(signed), "\n")
	if len(lines) != 4 || lines[0] != firstLine {
		return d, errForm
	}
	version, ok := strings.CutPrefix(lines[1], "version ")
	if !ok || !versionForm.MatchString(version) {
		return d, errForm
	}
	day, ok := strings.CutPrefix(lines[2], "date ")
	if !ok {
		return d, errForm
	}
	date, err := time.ParseInLocation(dateForm, day, time.UTC)
	switch {
	case err != nil:
		return d, errForm
	case now.Sub(date) > FreshFor:
		return d, errOld
	case date.Sub(now) > 24*time.Hour: // a clock may be a zone off
		return d, errFuture
	}
	return Document{version, date}, nil
}

// A Source is where the Document is, and whose signature counts. The zero Source
// belongs to a build that never looks.
type Source struct {
	URL string // an https URL
	Key ed25519.PublicKey
}

// NewSource returns the Source that a build names: an https URL and a public
// key in base64. It is zero if both are empty; anything else that is not whole
// is an error.
func NewSource(url, key string) (Source, error) {
	if url == "" && key == "" {
		return Source{}, nil
	}
	k, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(k) != ed25519.PublicKeySize {
		return Source{}, errors.New("the build's key for release documents is not an Ed25519 public key in base64")
	}
	if !strings.HasPrefix(url, "https://") {
		return Source{}, errors.New("the build's address for release documents is not an https URL")
	}
	return Source{url, k}, nil
}

// IsZero reports whether s belongs to a build that never looks.
func (s Source) IsZero() bool { return s.URL == "" || len(s.Key) == 0 }

// Fetch gets the Document by one GET, which takes at most a few seconds. The
// client must not have cookies; it follows no redirect here.
func (s Source) Fetch(ctx context.Context, client *http.Client, now time.Time) (Document, error) {
	if s.IsZero() {
		return Document{}, errors.New("this build does not look for releases")
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return Document{}, err
	}
	// Go would name itself and its version.
	req.Header.Set("User-Agent", "")
	plain := *client
	plain.Jar = nil
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := plain.Do(req)
	if err != nil {
		return Document{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Document{}, fmt.Errorf("the address for release documents answered %s", resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return Document{}, err
	}
	return Read(b, s.Key, now)
}

// Newer reports whether version is a later release than current. It is false if
// either is not a release.
func Newer(version, current string) bool {
	v, ok := numbers(version)
	if !ok {
		return false
	}
	// "1.2.3-rc.1" comes before 1.2.3.
	base, pre, _ := strings.Cut(strings.TrimPrefix(current, "v"), "-")
	c, ok := numbers(base)
	if !ok {
		return false
	}
	for i := range v {
		if n := cmp.Compare(v[i], c[i]); n != 0 {
			return n > 0
		}
	}
	return pre != ""
}

func numbers(version string) ([3]int, bool) {
	var out [3]int
	m := versionForm.FindStringSubmatch(version)
	if m == nil {
		return out, false
	}
	for i := range out {
		n, err := strconv.Atoi(m[i+1])
		if err != nil {
			return out, false
		}
		out[i] = n
	}
	return out, true
}
