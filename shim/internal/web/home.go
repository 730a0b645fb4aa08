package web

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
)

// Home is the list of servers, or before there is any the page that adds the
// first. Its forms post to /servers, /damaged, /keychain/unlock, /keychain/keep,
// /sample, /sample/stop, /steps/login, /steps/hide and /sign-out,
// each with form_token. What its template marks as data-part the script replaces
// when it changes.
type Home struct {
	Version  string
	Keychain Keychain
	More     []Banner // what is less urgent than the banner
	Happened []string // to saved data, and was mended
	Notices  []Notice
	Pending  []PendingRow
	Steps    *Steps // nil once they are done
	Rows     []ServerRow
	All      int // how many servers there are; Total are found, and Rows on the page
	Total    int
	Search   string
	Page     int
	Pages    int
	Deleted  int // servers that can be restored
	Create   CreateForm
	Sample   bool // a sample server can be started
	Token    func(action string) string
}

// A Keychain is the state of the master key, in the vault's words.
type Keychain struct {
	State, Words, Mode string
	CanKeep, CanUnlock bool
}

// A Notice says what was done.
type Notice struct {
	Kind string
	Text string
}

// The kinds of a Notice.
const (
	NoticeOK    = "ok"
	NoticeInfo  = "info"
	NoticeWarn  = "warn"
	NoticeError = "error"
)

// Class is the kind, if it is a known one.
func (n Notice) Class() string {
	switch n.Kind {
	case NoticeWarn, NoticeError, NoticeOK:
		return n.Kind
	}
	return NoticeInfo
}

// Dot is the color of the kind.
func (n Notice) Dot() string {
	switch n.Kind {
	case NoticeWarn, NoticeOK:
		return n.Kind
	case NoticeError:
		return "err"
	}
	return ""
}

// Kindly is the kind for those who do not see the color.
func (n Notice) Kindly() string { return t("notice." + n.Class()) }

// A ServerRow is a server in the list.
type ServerRow struct {
	Slug, Name, Host  string
	State, StateWords string // as package standing has them
	Paused            bool
	Used              string   // when it was last used; "" if never
	Apps              []string // the newest ones
	NumApps           int
}

// Dot is the color of the state.
func (r ServerRow) Dot() string { return stateDot(r.State, r.Paused) }

// UsedWords is when the server was last used, while it works: of any other state
// that is not what matters.
func (r ServerRow) UsedWords() string {
	if r.State != api.EndpointOK || r.Paused {
		return ""
	}
	return r.Used
}

// AppsWords names the connected apps in short; "" if there are none.
func (r ServerRow) AppsWords() string {
	var names []string
	for _, n := range r.Apps[:min(2, len(r.Apps))] {
		if n = name(n); n != "" {
			names = append(names, n)
		}
	}
	if len(names) == 2 && (r.NumApps > 2 || len(names[0])+len(names[1]) > 20) {
		names = names[:1]
	}
	s := strings.Join(names, ", ")
	if n := r.NumApps - len(names); n > 0 && s != "" {
		s += " +" + thousands(int64(n))
	}
	return s
}

// stateDot is the color of a server's state, one of those of an api.Endpoint.
func stateDot(state string, paused bool) string {
	switch {
	case paused:
		return ""
	case state == api.EndpointOK:
		return "ok"
	case state == api.EndpointRejected, state == api.EndpointCannotStart:
		return "err"
	case state == api.EndpointNotTried:
		return ""
	}
	return "warn"
}

// A PendingRow is a request that waits for the owner.
type PendingRow struct {
	URL, Client, ReturnsTo, Endpoint, Age string
	// Asked says that another device waits for the answer and shows a number.
	Asked bool
}

// Heading says who asks. A request from another device is headed by that, since
// the name of the app is no more than what was sent from there.
func (r PendingRow) Heading() string {
	client, endpoint := name(r.Client), name(r.Endpoint)
	if client == "" {
		client = t("consent.noname")
	}
	switch {
	case r.Asked && endpoint != "":
		return t("home.pending.device.1", endpoint)
	case r.Asked:
		return t("home.pending.device.0")
	case endpoint != "":
		return t("home.pending.1", client, endpoint)
	}
	return t("home.pending.0", client)
}

// Asked is how many requests of other devices are shown.
func (p Home) Asked() int {
	n := 0
	for _, q := range p.Pending {
		if q.Asked {
			n++
		}
	}
	return n
}

func (p Home) view() view {
	title := t("home.title")
	if p.First() {
		title = t("first.title")
	}
	return view{template: "home", title: title, script: true, owner: true, nav: "home", version: p.Version}
}

// First reports whether there is no server yet.
func (p Home) First() bool { return p.All == 0 }

// Self is where the script gets the page.
func (p Home) Self() string { return "/" + p.at(p.Page) }

// Searchable reports whether there are enough servers to search among them.
func (p Home) Searchable() bool { return p.All >= 8 }

// Shown says which part of the servers the page shows.
func (p Home) Shown() string {
	first := (p.Page-1)*20 + 1
	return t("home.shown", thousands(int64(first)), thousands(int64(first+len(p.Rows)-1)), thousands(int64(p.Total)))
}

// Newer and Older are the addresses of the pages beside this one, "" where there
// is none.
func (p Home) Newer() string { return p.beside(p.Page - 1) }

// Older is documented with Newer.
func (p Home) Older() string { return p.beside(p.Page + 1) }

func (p Home) beside(page int) string {
	if page < 1 || page > p.Pages {
		return ""
	}
	return "/" + p.at(page)
}

func (p Home) at(page int) string {
	q := url.Values{}
	if p.Search != "" {
		q.Set("q", p.Search)
	}
	if page > 1 {
		q.Set("page", strconv.Itoa(page))
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// FormToken is the token of the form that posts to action.
func (p Home) FormToken(action string) string {
	if p.Token == nil {
		return ""
	}
	return p.Token(action)
}

// InMemory reports whether nothing is kept when Key2OAuth quits.
func (p Home) InMemory() bool { return p.Keychain.Mode == api.ModeMemory }

// KeptWhere says where the master key is.
func (p Home) KeptWhere() string { return keptWhere(p.Keychain.Mode) }

func keptWhere(mode string) string {
	switch mode {
	case api.ModeFile, api.ModeMemory:
		return t("side.keys." + mode)
	}
	return t("side.keys.os")
}

// The badges of a key's state.
const (
	badgeOK    = "ok"
	badgeWarn  = "warn"
	badgeError = "error"
	badgePlain = "plain"
)

// badge is what the state of an api.Credential looks like.
func badge(state string) string {
	switch state {
	case api.CredentialOK:
		return badgeOK
	case api.CredentialRejected:
		return badgeError
	case api.CredentialUnverified, api.CredentialKeyNeeded:
		return badgeWarn
	}
	return badgePlain
}

// stateWords names a state of endpoint.CredentialState for people.
func stateWords(state string) string {
	if s, ok := text["state."+strings.ReplaceAll(state, " ", "-")]; ok {
		return s
	}
	return name(state)
}
