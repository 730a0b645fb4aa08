package tray

import (
	"cmp"
	"slices"
)

// A Notice is something that the owner should learn of without looking.
type Notice struct {
	About []string // what it is about; it is not shown again until all of that is over
	Event bool     // something that happened; not shown if it happened before the start

	Title, Body string
	Button      string // label of the button
	Action      Action
}

// maxNotices is how many keys, and how many requests, get a notice each.
const maxNotices = 2

// Notices returns what the owner should know about a state. It is a pure
// function; package notify remembers what was shown. A notice contains names
// and nothing else of the owner's, because it may show on a locked screen.
func Notices(s State) []Notice {
	all := slices.Concat(deviceNotices(s), approvals(s), keyNotices(s))
	locked := s.Keychain == KeychainWaiting || s.Keychain == KeychainUnusable // which the icon says, and the desktop asks about
	if s.Tunnel.State == TunnelNeedsYou && !locked {
		words := s.Tunnel.Words
		if words == "" {
			words = t("status.needs-words")
		}
		all = append(all, Notice{
			About: []string{"tunnel"},
			Title: t("notice.tunnel"), Body: words,
			Button: t("notice.tunnel.button"), Action: Action{Verb: OpenTunnel},
		})
	}
	if s.Confirm {
		all = append(all, Notice{
			About: []string{"confirm"},
			Title: t("notice.confirm"), Body: t("notice.confirm.body"),
			Button: t("notice.confirm.button"), Action: Action{Verb: ConfirmMove},
		})
	}
	for _, c := range s.Clients {
		if c.Old {
			continue
		}
		all = append(all, Notice{
			About: []string{"grant " + c.Grant}, Event: true,
			Title: t("notice.client"), Body: t("notice.client.body", name(c.Name), name(c.Endpoint)),
			Button: t("notice.client.button"), Action: Action{Verb: OpenDashboard},
		})
	}
	return all
}

// deviceNotices returns one notice for all requests of other devices, which is
// over when none waits. Any of their pages asks for a number, which chooses.
func deviceNotices(s State) []Notice {
	n, first := 0, ""
	for _, r := range s.Pending {
		if !r.Here {
			n, first = n+1, cmp.Or(first, r.ID)
		}
	}
	if n == 0 {
		return nil
	}
	body := t("notice.request.body")
	if n > 1 {
		body = t("notice.requests.body", n)
	}
	return []Notice{{
		About: []string{"request"},
		Title: t("notice.request"), Body: body,
		Button: t("notice.request.button"), Action: Action{ReviewRequest, first},
	}}
}

// approvals returns a notice for each request on this computer, since each is
// something else that a person has just done there. A page may open many.
func approvals(s State) []Notice {
	var each []Notice
	for _, r := range s.Pending {
		if !r.Here {
			continue
		}
		n := Notice{
			About: []string{"sign-in " + r.ID},
			Title: t("notice.approve.new"), Body: t("notice.approve.body"),
			Button: t("notice.request.button"), Action: Action{ReviewRequest, r.ID},
		}
		if r.App != "" {
			n.Title = t("notice.approve", r.App)
		}
		if r.Server != "" {
			n.Body = t("notice.approve.body.server", r.Server)
		}
		each = append(each, n)
	}
	if len(each) <= maxNotices {
		return each
	}
	return []Notice{{
		About: []string{"sign-ins"},
		Title: t("notice.approve.many", len(each)), Body: t("notice.approve.body"),
		Button: t("notice.request.button"), Action: Action{Verb: ReviewRequest},
	}}
}

func keyNotices(s State) []Notice {
	if s.Paused { // they are told when it is resumed
		return nil
	}
	titles := map[Key]string{KeyRejected: "notice.rejected", KeyNeeded: "notice.needed", KeyDamaged: "notice.damaged"}
	var each []Notice
	var about []string
	for _, e := range s.Endpoints {
		title, ok := titles[e.Key]
		if !ok {
			continue
		}
		about = append(about, "key "+e.Slug)
		each = append(each, Notice{
			About: about[len(about)-1:],
			Title: t(title), Body: t(title+".body", name(e.Name)),
			Button: t("notice.key.button"), Action: Action{FixKey, e.Slug},
		})
	}
	if len(each) <= maxNotices {
		return each
	}
	return []Notice{{
		About: about,
		Title: t("notice.keys"), Body: t("notice.keys.body", len(each)),
		Button: t("notice.keys.button"), Action: Action{Verb: OpenDashboard},
	}}
}

// StartFailed returns the notice for a failed start, where no terminal can
// show the error. why has at most MaxReason characters.
func StartFailed(why string) Notice { return failure("notice.start", why) }

// LoginFailed returns the notice for a failed StartAtLogin or DoNotStart.
func LoginFailed(why string) Notice { return failure("notice.login", why) }

// failure returns a notice of something that is over: a click on it does
// nothing.
func failure(key, why string) Notice {
	return Notice{About: []string{key}, Event: true, Title: t(key), Body: why}
}
