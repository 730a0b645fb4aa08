package tray

// A Notice is something that the owner should learn of without looking.
type Notice struct {
	About []string // what it is about; a thing that was told is not told again until it is over
	Event bool     // it has happened, and is never over; what happened before the start is not told

	Title, Body string
	Button      string // what a click does
	Action      Action
}

// maxNotices is how many keys are told of one by one.
const maxNotices = 2

// Notices are what the owner should know of in a state. It is a pure function;
// package notify remembers what was told. A notice holds names and nothing
// else of the owner's: it may show on a locked screen.
func Notices(s State) []Notice {
	var all []Notice
	if n := len(s.Pending); n > 0 {
		// However many there are, and whoever they come from, it is one notice,
		// and it is over only when none waits.
		body := t("notice.request.body", name(s.Pending[0].Client))
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

// StartFailed is what the owner is told where there is no terminal to say why
// the program ends. The text is at most MaxReason characters long.
func StartFailed(why string) Notice { return failure("notice.start", why) }

// LoginFailed says that StartAtLogin or DoNotStart came to nothing.
func LoginFailed(why string) Notice { return failure("notice.login", why) }

// failure is a notice of what is over already: a click on it does nothing.
func failure(key, why string) Notice {
	return Notice{About: []string{key}, Event: true, Title: t(key), Body: why}
}
