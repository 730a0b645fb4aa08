package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/shim/internal/coding"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
)

// A Fault is why a connection could not be made, as far as it says who can fix
// it.
type Fault string

// The faults that may lie elsewhere than with the upstream.
const (
	FaultName        Fault = "name"        // no server has this name
	FaultNetwork     Fault = "network"     // no route from this computer
	FaultPlain       Fault = "plain"       // an https URL for a server without TLS
	FaultCertificate Fault = "certificate" // not trusted by this computer
)

// FaultOf returns the Fault that an error of a connection shows, or "".
func FaultOf(err error) Fault {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		if e.IsNotFound {
			return FaultName
		}
		return FaultNetwork
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return FaultPlain
	}
	if explainTLS(err) != "" {
		return FaultCertificate
	}
	for _, e := range []error{syscall.ENETUNREACH, syscall.EHOSTUNREACH, wsaNetUnreachable, wsaHostUnreachable} {
		if errors.Is(err, e) {
			return FaultNetwork
		}
	}
	return ""
}

// Error numbers of Windows, which errors.Is does not equate with those of POSIX.
const (
	wsaNetUnreachable  = syscall.Errno(10051)
	wsaConnReset       = syscall.Errno(10054)
	wsaConnRefused     = syscall.Errno(10061)
	wsaHostUnreachable = syscall.Errno(10065)
	wsaTimedOut        = syscall.Errno(10060)
)

// What people are told when a request got no answer.
const (
	TextRedirectPlain = "The server redirects to %s, which is not encrypted, so the key was not sent there. Tell the people who run the server."
	TextRedirect      = "The server redirects to %s. Keys are sent only to the address that you entered. If you trust the new address, enter it instead."
	TextCoding        = "The server compressed its answer with a method that Key2OAuth did not ask for and does not know: %s. Turn that off at the server, or contact the people who run it."
	TextForbidden     = "Key2OAuth does not connect to %s: %s. Check the server's address."
	TextNoName        = "There is no server named %s. Check the address for a typing mistake, and that this computer is online."
	TextNoLookup      = "The server's name could not be looked up. Check that this computer is online, then try again."
	TextProxyUnused   = " A proxy is set up on this computer (%s), which Key2OAuth does not use. You can turn it on in Settings."
	TextLost          = "The connection to the server was lost: nothing came through for half a minute, as happens after a change of network. Try again."
	TextLongRedirect  = "The server redirected a long request to another address. Try again."
	TextCanceled      = "The request was canceled before the server answered."
	TextTimeout       = "The server did not answer in time. Check the address, and that the server is running; then try again."
	TextRefused       = "Nothing answers at the server's address. Check that the server is running and that the number after the colon (the port) is right."
	TextNoRoute       = "The server cannot be reached from here. Check that this computer is online and in the right network."
	TextNoConnection  = "The server could not be reached. Check its address, then try again."
	TextNoTLS         = "The server does not support encryption, which https:// requires. If it runs on this computer or in your own network, use http://."
	TextWrongName     = "The server's certificate is not for %s, so this may be another server. The key was not sent."
	TextExpired       = "The server's certificate has expired, or this computer's clock is wrong. The key was not sent."
	TextUntrusted     = "The server's certificate is not trusted by this computer, so it may not be who it says. The key was not sent."
	TextNoAgreement   = "The server and Key2OAuth could not agree on an encrypted connection. The key was not sent."
)

// Explain says in a sentence for people why a request got no answer, and what
// to do. It quotes nothing of the request.
func Explain(err error) string {
	words := explain(err)
	if e, ok := errors.AsType[*directError](err); ok {
		words += fmt.Sprintf(TextProxyUnused, e.variable)
	}
	return words
}

func explain(err error) string {
	if e, ok := errors.AsType[*RedirectError](err); ok && e.Unsafe {
		return fmt.Sprintf(TextRedirectPlain, e.To)
	} else if ok {
		return fmt.Sprintf(TextRedirect, e.To)
	}
	if e, ok := errors.AsType[*ElsewhereError](err); ok {
		return e.Explain("The server")
	}
	if e, ok := errors.AsType[*coding.Error](err); ok {
		return fmt.Sprintf(TextCoding, display.Text(e.Coding, 40))
	}
	if e, ok := errors.AsType[*safedial.RefusedError](err); ok {
		return fmt.Sprintf(TextForbidden, display.Text(e.Place(), 100), e.Why)
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		if e.IsNotFound {
			return fmt.Sprintf(TextNoName, display.Text(e.Name, 100))
		}
		return TextNoLookup
	}
	if words := explainTLS(err); words != "" {
		return words
	}
	if words := explainAnswer(err); words != "" {
		return words
	}
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case isLost(err):
		return TextLost
	case is(errBodyGone):
		return TextLongRedirect
	case is(context.Canceled):
		return TextCanceled
	case is(context.DeadlineExceeded), isNet && timeout.Timeout():
		return TextTimeout
	case is(syscall.ECONNREFUSED, wsaConnRefused):
		return TextRefused
	case is(syscall.ENETUNREACH, syscall.EHOSTUNREACH, wsaNetUnreachable, wsaHostUnreachable):
		return TextNoRoute
	case brokeOff(err):
		return TextBrokeOff
	}
	return TextNoConnection
}

// isLost reports whether a connection that had been made came to lead nowhere;
// see package safedial. net/http has no value for the same of HTTP/2.
func isLost(err error) bool {
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return false
	}
	return errors.Is(err, syscall.ETIMEDOUT) || errors.Is(err, wsaTimedOut) || err != nil && strings.Contains(err.Error(), "http2: client connection lost")
}

// explainTLS explains a failed TLS handshake; "" if err is something else.
func explainTLS(err error) string {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return TextNoTLS
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok && e.Certificate != nil {
		return fmt.Sprintf(TextWrongName, display.Text(e.Host, 100))
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return TextExpired
	}
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, verify := errors.AsType[*tls.CertificateVerificationError](err)
	if unknown || verify {
		return TextUntrusted
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return TextNoAgreement
	}
	return ""
}
