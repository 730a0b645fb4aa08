package tunnel

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"syscall"
)

// A Fault is an error with words for people. It holds no secrets.
type Fault struct {
	Problem Problem
	Err     error // for the log; nil if there is no more to say
}

func (f *Fault) Error() string {
	switch {
	case f.Problem.Code != "":
		return "ngrok: " + f.Problem.Code
	case f.Err != nil:
		return f.Err.Error()
	}
	return f.Problem.Words
}

// Unwrap returns what is for the log.
func (f *Fault) Unwrap() error { return f.Err }

// fault returns the one for a code of ngrok's or a name of words.go.
func fault(code string, err error) *Fault { return &Fault{problemOf(code), err} }

var codePattern = regexp.MustCompile(`(?i)ERR_NGROK_([0-9]{1,6})`)

// codeIn finds the number of ngrok's code in a text of its, "" if there is none.
func codeIn(text string) string {
	if m := codePattern.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// classify says what is wrong. What ngrok said is not kept, since it may repeat
// the authtoken; what the system said is.
func classify(err error) *Fault {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f
	}
	if code := codeIn(err.Error()); code != "" {
		return fault(code, nil)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fault(orOffline(noName), dns)
	}
	switch {
	case isCertificate(err):
		return fault(intercepted, nil)
	case isNotTLS(err):
		return fault(notTLS, nil)
	case errors.Is(err, errRefused):
		return fault(refused, ofSystem(err))
	case errors.Is(err, errNoNetwork), errors.Is(err, errNoRoute), errors.Is(err, syscall.ENETDOWN):
		return fault(orOffline(unreachable), ofSystem(err))
	case isTimeout(err):
		return fault(orOffline(slow), ofSystem(err))
	case strings.Contains(err.Error(), "heartbeat"):
		return fault(silent, nil)
	case isBroken(err):
		return fault(broken, nil)
	}
	// The text is the SDK's: it may hold anything.
	return fault(unknown, nil)
}

// ofSystem returns the part of err that the system said, or nil.
func ofSystem(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op
	}
	return nil
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

func isCertificate(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.HostnameError](err)
	return ok
}

func isNotTLS(err error) bool {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	_, ok := errors.AsType[tls.AlertError](err)
	return ok
}

// isBroken knows the ends of a session, for which the SDK has plain texts.
func isBroken(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, errReset) {
		return true
	}
	text := err.Error()
	for _, s := range []string{"EOF", "session closed", "gone away", "connection reset", "closed network connection", "broken pipe", "stream closed"} {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}

// orOffline returns offline if this computer has no network, else code.
func orOffline(code string) string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return code
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return code
		}
	}
	return offline
}
