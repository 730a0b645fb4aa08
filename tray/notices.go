package tray

// A Notice is something that the owner should learn of without looking.
type Notice struct {
	About []string // what it is about; it is not shown again until all of that is over
	Event bool     // something that happened; not shown if it happened before the start

	Title, Body string
	Button      string // label of the button
	Action      Action
}

// maxNotices is how many keys get a notice each.
const maxNotices = 2

// Notices returns what the owner should know about a state. It is a pure
// function; package notify remembers what was shown. A notice contains names
// and nothing else of the owner's, because it may show on a locked screen.
func Notices(s State) []Notice {
	var all []Notice
	if n := len(s.Pending); n > 0 {
		// All requests share one notice, which is over when none waits.
		body := t("notice.request.body")
		if n > 1 {
			body = t("notice.requests.body", n)
		}
		all = append(all, Notice{
			About: []string{"request"},
			Title: t("notice.request"), Body: body,
			Button: t("notice.request.button"), Action: Action{Verb: ReviewRequest},
		})
	}
	all = append(all, keyNotices(s)...)
	if s.Tunnel.State == TunnelNeedsYou {
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

func keyNotices(s State) []Notice {
	var each []Notice
	var about []string
	for _, e := range s.Endpoints {
		title := "notice.rejected"
		switch e.Key {
		case KeyFine:
			continue
		case KeyNeeded:
			title = "notice.needed"
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
