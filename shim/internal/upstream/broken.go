package upstream

import (
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strings"
	"syscall"

	"github.com/key2oauth/key2oauth/shim/internal/coding"
	"github.com/key2oauth/key2oauth/shim/internal/wire"
)

// What people read about an answer that is not HTTP. Tests compare with it.
const (
	TextNotHTTP  = "What answers at the server's address does not speak HTTP. Check the address, and above all the number after the colon (the port)."
	TextBroken   = "The server's answer was broken: %s. The key and the app are not the cause. Contact the people who run the server."
	TextBrokeOff = "The server broke off the connection before its answer was complete. Try again. If it keeps happening, contact the people who run the server."
)

// What is broken about an answer, within TextBroken.
const (
	brokenLength = "it gives a wrong length"
	brokenHeader = "its header cannot be read"
	brokenLong   = "its header is too long"
	brokenParts  = "it comes in parts whose lengths are wrong"
	brokenCoding = "it is not compressed the way it says"
	brokenFrames = "it breaks the rules of HTTP/2"
)

// faults are what net/http says of answers that it cannot read. It has no
// values for these errors.
var faults = []struct{ said, words string }{
	{"malformed HTTP ", TextNotHTTP}, // response, version, status code
	{"Content-Length", brokenLength},
	{"MIME header", brokenHeader},
	{"response headers exceeded", brokenLong},
	{"transfer encoding", brokenParts},
	{"chunk", brokenParts},
	{"connection error: ", brokenFrames},
}

// explainAnswer explains an answer that cannot be read; "" if err is something
// else.
func explainAnswer(err error) string {
	if err == nil {
		return ""
	}
	broken := ""
	if _, ok := errors.AsType[*coding.BrokenError](err); ok {
		broken = brokenCoding
	} else if errors.Is(err, wire.ErrHeader) {
		broken = brokenLong
	} else if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		broken = brokenHeader
	} else {
		text := err.Error()
		for _, f := range faults {
			if strings.Contains(text, f.said) {
				broken = f.words
				break
			}
		}
	}
	switch broken {
	case "", TextNotHTTP:
		return broken
	}
	return fmt.Sprintf(TextBroken, broken)
}

// brokeOff reports whether the upstream ended the connection, or a stream of
// HTTP/2, too early.
func brokeOff(err error) bool {
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, wsaConnReset} {
		if errors.Is(err, e) {
			return true
		}
	}
	return err != nil && strings.Contains(err.Error(), "stream error: ")
}

// Broken reports whether err is about an answer that cannot be read.
func Broken(err error) bool { return explainAnswer(err) != "" }

// Reached reports whether a request that ended in err had come to the upstream,
// which then broke off, or answered what cannot be read or followed.
func Reached(err error) bool {
	_, redirects := errors.AsType[*RedirectError](err)
	return redirects || Broken(err) || brokeOff(err)
}
