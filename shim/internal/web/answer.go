package web

import (
	"strings"

	"github.com/key2oauth/key2oauth/shim/display"
)

// An Answer is what is known of the answer to a sign-in: all that a page, the
// tray or a command may say about where it goes follows from this, by [Say] and
// [ReturnsTo].
type Answer struct {
	Kind, Host string // of the redirect URI; see oauth.RedirectKind and oauth.RedirectHost
	Flow       Flow
	Approved   bool // the owner has approved an answer to exactly this URI
	BuiltIn    bool // the URI is one of an app that came with the program
}

// A Flow is how a sign-in came here, which decides whose browser gets the answer.
type Flow string

// The ways of a sign-in.
const (
	// FlowLocal is a sign-in at the local origin: the answer goes to this
	// browser, and is good on this computer only.
	FlowLocal Flow = "local"
	// FlowPublic is one at a public origin whose answer goes to this browser.
	FlowPublic Flow = "public"
	// FlowDevice is one at a public origin whose answer goes to a browser
	// on another device: the one that shows the number. Nothing is known about
	// that device but what its holder says.
	FlowDevice Flow = "elsewhere"
)

// A Statement is what the consent page says about an answer.
type Statement struct {
	To      string   // where it goes, in large type
	Host    bool     // To is the host of a website; otherwise it is our own words
	Aside   string   // beside To, smaller
	Hints   []string // what follows for the reader
	Warning string   // what should stop a reader who does not expect it; or ""

	// Box is what the reader has to confirm before approving, or "". BoxMissing
	// says that this was not done.
	Box, BoxMissing string
	// Device says that the answer goes to another device.
	Device bool
}

// Say returns what is true of an answer. server is what the app will be able to
// use. It is the only place that decides what the consent page says about where
// an answer goes, so that no sentence is right for one way of signing in and
// wrong for another (RFC 8628, Section 5.4; RFC 8252, Section 8.6).
func Say(a Answer, server string) Statement {
	host := host(shortHost(a.Host))
	switch {
	case a.Flow == FlowDevice:
		return sayDevice(a.Kind, host, server)
	case a.Kind == kindWebsite:
		return sayWebsite(a, host, server)
	}
	// A loopback address or a private scheme is no identity: any program on
	// this computer may listen there. So an earlier approval is not mentioned.
	s := Statement{To: capital(t("returns.here"))}
	if a.Kind == kindLoopback {
		s.Aside = "(" + host + ")"
		s.Hints = []string{t("consent.loopback")}
	} else {
		s.Hints = []string{t("consent.custom", host)}
	}
	return s
}

// maxAnswerHost is how many characters of a host are shown that gets an answer.
// The end says whose host it is. What stands before is a stranger's, who could
// push the buttons out of sight with it.
const maxAnswerHost = 56

// shortHost cuts a host at its front.
func shortHost(s string) string {
	if r := []rune(display.Text(s, 4*maxHost)); len(r) > maxAnswerHost {
		return "\u2026" + string(r[len(r)-maxAnswerHost+1:])
	}
	return s
}

// sayDevice is about an answer to another device. No matter its kind, the holder
// of that device gets it. Earlier approvals were for other devices.
func sayDevice(kind, host, server string) Statement {
	s := Statement{
		To: capital(t("returns.device")), Device: true,
		Hints: []string{t("consent.device", server)},
		Box:   t("consent.device.box"), BoxMissing: TextSayYouPressed,
	}
	switch kind {
	case kindWebsite:
		s.To, s.Host, s.Aside = host, true, t("returns.device.aside")
		s.Hints = []string{t("consent.device.site", host, server)}
		s.Box = t("consent.device.box.site", host)
	case kindCustom:
		s.Hints = append(s.Hints, t("consent.custom", host))
	}
	return s
}

func sayWebsite(a Answer, host, server string) Statement {
	s := Statement{To: host, Host: true}
	switch {
	case a.Approved:
		s.Hints = []string{t("consent.known")}
	case a.BuiltIn:
	case a.Flow == FlowLocal:
		// An answer of the local origin is of no use to a website.
		s.Warning = t("consent.https.local")
	default:
		s.Warning = t("consent.https.warn", server)
		s.Box, s.BoxMissing = t("consent.sure", host), TextSayYouKnow
	}
	return s
}

// Trusted reports whether the answer goes where the owner, or this program, knows
// an app. A denial is sent to no other place without a click: someone who
// invents an app could have this computer open any address (RFC 9700, Section 4.11.2).
func (a Answer) Trusted() bool { return a.Kind == kindLoopback || a.Approved || a.BuiltIn }

// MustConfirm reports whether the reader has to confirm something before
// approving.
func (a Answer) MustConfirm() bool { return Say(a, "").Box != "" }

// ReturnsTo names where an answer goes in one line, for lists: what is no
// website is told in our own words, since the other kinds are no identity.
// flow is "" for apps that were approved before this was kept.
func ReturnsTo(kind, at string, flow Flow) string {
	at = host(at)
	app := t("returns.unknown")
	switch flow {
	case FlowLocal, FlowPublic:
		app = t("returns.here")
	case FlowDevice:
		app = t("returns.device")
	}
	switch kind {
	case kindWebsite:
		if flow != FlowDevice {
			return at
		}
		return t("returns.device.site", at)
	case kindCustom:
		return t("returns.link", app, at)
	case kindLoopback:
		return app
	}
	return ""
}

// The kinds of redirect URIs, as package oauth names them.
const (
	kindLoopback = "loopback"
	kindWebsite  = "https"
	kindCustom   = "custom"
)

// capital begins a sentence with s, which is our own text.
func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
