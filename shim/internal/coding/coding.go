// Package coding undoes the content codings of answers (RFC 9110, Section 8.4)
// that came in one although none was asked for.
package coding

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
)

// An Error reports an answer in a content coding that was not asked for
// and cannot be undone.
type Error struct{ Coding string }

func (e *Error) Error() string {
	return fmt.Sprintf("the upstream's answer has the content coding %q", e.Coding)
}

// A BrokenError reports an answer that is not in the content coding that it
// names. It does not unwrap: an end of what is compressed is no end of the
// connection.
type BrokenError struct{ Err error }

func (e *BrokenError) Error() string { return "decoding the upstream's answer: " + e.Err.Error() }

// Limit is how often one answer may be compressed.
const Limit = 3

// A coding begins to undo a content coding.
type coding func(io.Reader) (io.Reader, error)

// codings are those that are undone (RFC 9110, Section 8.4.1; RFC 7932).
var codings = map[string]coding{
	"gzip":    func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
	"x-gzip":  func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
	"deflate": inflate,
	"br":      func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
}

// inflate undoes "deflate", which means the format of zlib. Some servers leave
// its two bytes at the beginning out, and clients have always taken both (RFC
// 9110, Section 8.4.1.2).
func inflate(r io.Reader) (io.Reader, error) {
	in := bufio.NewReader(r)
	head, err := in.Peek(2)
	if len(head) == 1 {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	// RFC 1950, Section 2.2.
	if head[0]&0x0F == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
		return zlib.NewReader(in)
	}
	return flate.NewReader(in), nil
}

// Undo undoes the content codings of an answer, none of which was asked for:
// requests go out with "Accept-Encoding: identity". What cannot be undone makes
// a body that gives an *Error; see Undecoded. The codings "identity" and
// "none", which some servers name, and an empty field say that there is none.
func Undo(resp *http.Response) {
	fields, ok := resp.Header["Content-Encoding"]
	if !ok {
		return
	}
	delete(resp.Header, "Content-Encoding")
	var undo []coding
	for name := range strings.SplitSeq(strings.Join(fields, ","), ",") {
		name = strings.TrimSpace(name)
		switch strings.ToLower(name) {
		case "", "identity", "none":
			continue
		}
		open := codings[strings.ToLower(name)]
		if open == nil || len(undo) == Limit {
			if hasBody(resp) {
				resp.Body = &undecodedBody{src: resp.Body, err: &Error{name}}
			}
			return
		}
		undo = append(undo, open)
	}
	if len(undo) == 0 {
		return
	}
	resp.Header.Del("Content-Length")
	if !hasBody(resp) {
		return
	}
	slices.Reverse(undo) // the last one was applied last
	resp.Body = &decoder{src: resp.Body, undo: undo}
	resp.ContentLength, resp.Uncompressed = -1, true
}

func hasBody(resp *http.Response) bool { return resp.Body != http.NoBody && resp.ContentLength != 0 }

// Undecoded returns the *Error of an answer that cannot be decoded, nil of
// any other.
func Undecoded(resp *http.Response) error {
	if u, ok := resp.Body.(*undecodedBody); ok {
		return u.err
	}
	return nil
}

type undecodedBody struct {
	src io.Closer
	err error
}

func (u *undecodedBody) Read([]byte) (int, error) { return 0, u.err }

func (u *undecodedBody) Close() error { return u.src.Close() }

// A decoder reads nothing before its first Read: the compression header of an
// event stream may come long after the response header. It holds a bounded part
// of what it decodes, however much that becomes.
type decoder struct {
	src  io.ReadCloser
	undo []coding // what is still to be opened
	r    io.Reader
	err  error
	torn error // of src
}

func (d *decoder) Read(p []byte) (n int, err error) {
	if d.r == nil {
		d.r = (*source)(d)
	}
	for ; d.err == nil && len(d.undo) > 0; d.undo = d.undo[1:] {
		d.r, d.err = d.undo[0](d.r)
	}
	err = d.err
	if err == nil {
		n, err = d.r.Read(p)
	}
	switch {
	case err == nil, err == io.EOF:
	case d.torn != nil:
		err = d.torn
	default:
		err = &BrokenError{err}
	}
	return n, err
}

// A source is what a decoder decodes. It notes why that ended too early.
type source decoder

func (s *source) Read(p []byte) (int, error) {
	n, err := s.src.Read(p)
	if err != nil && err != io.EOF {
		s.torn = err
	}
	return n, err
}

func (d *decoder) Close() error { return d.src.Close() }
