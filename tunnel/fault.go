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

// Unwrap returns Err, which is for the log.
func (f *Fault) Unwrap() error { return f.Err }

// NewFault returns the Fault for a cause, with err for the log.
func NewFault(c Cause, err error) *Fault { return &Fault{ProblemOf(c), err} }

var codePattern = regexp.MustCompile(`(?i)ERR_NGROK_([0-9]{1,6})`)

// CodeIn finds the number of one of ngrok's codes in a text that ngrok wrote. It
// returns "" if there is none.
func CodeIn(text string) Cause {
	if m := codePattern.FindStringSubmatch(text); m != nil {
		return Cause(m[1])
	}
	return ""
}

// Classify finds the cause of err. The Fault keeps what the system said, and
// drops what ngrok said, since that may repeat the authtoken.
func Classify(err error) *Fault {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f
	}
	if code := CodeIn(err.Error()); code != "" {
		return NewFault(code, nil)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return NewFault(orOffline(CauseNoName), dns)
	}
	switch {
	case isCertificate(err):
		return NewFault(CauseIntercepted, nil)
	case isNotTLS(err):
		return NewFault(CauseNotTLS, nil)
	case errors.Is(err, errRefused):
		return NewFault(CauseRefused, ofSystem(err))
	case errors.Is(err, errNoNetwork), errors.Is(err, errNoRoute), errors.Is(err, syscall.ENETDOWN):
		return NewFault(orOffline(CauseUnreachable), ofSystem(err))
	case isTimeout(err):
		return NewFault(orOffline(CauseSlow), ofSystem(err))
	case strings.Contains(err.Error(), "heartbeat"):
		return NewFault(CauseSilent, nil)
	case isBroken(err):
		return NewFault(CauseBroken, nil)
	}
	// The text is the SDK's: it may hold anything.
	return NewFault(CauseUnknown, nil)
}

// ofSystem returns the part of err that comes from the operating system, or nil.
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

// isBroken reports whether err is the end of a session. The SDK has no types for
// those, only texts.
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
func orOffline(code Cause) Cause {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return code
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return code
		}
	}
	return CauseOffline
}
