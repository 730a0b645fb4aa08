package web

import "github.com/key2oauth/key2oauth/shim/api"

// Server is the page of a server. Its forms post what a Banner says, each with
// form_token; its links lead to the pages that change it.
type Server struct {
	Version             string
	Slug, Name, Host    string
	State, StateWords   string // as package standing has them
	Why                 string // the state in a sentence; "" while the server works
	Paused              bool
	UpstreamURL         string // its query shown as "?..."
	Header              string
	MCPURL, LocalMCPURL string
	Banner              *Banner // what to do about it; nil if nothing
	Notices             []Notice
	Pending             []PendingRow // of apps that want to use it
	Credentials         []CredentialRow
	Grants              []GrantRow // the newest apps
	Apps                int        // how many there are
	Created, LastUsed   string
	Struck              int  // calls whose answer held the key
	Sample              bool // it is the sample, which goes when it is over
	FirstRun            bool // no app has ever been connected
	Token               func(action string) string
}

// A CredentialRow is one saved key.
type CredentialRow struct {
	ID, Label, State string
	For              string // api.ForGrant: the key belongs to one connected app alone
	Unwatched        string // why answers are not searched for it, as api.Credential has it
	Why              string // it cannot be used, and what to do; mostly ""
}

// A GrantRow is one connected client.
type GrantRow struct {
	ID, Client        string
	Claim             string // what the client calls itself, if it is known by its host
	ReturnsTo         string // where its answer went
	TwoPlaces         string // the day since when two parties use it; "" if one does
	Created, LastUsed string
	Credential        string      // label of the key that it uses, if there are several
	How               *AttemptRow // it came to be connected; nil if that is not known
}

// serverName is what a server is called in a heading or a link, which must not be
// empty.
func serverName(s string) string {
	if s = name(s); s != "" {
		return s
	}
	return t("card.noname")
}

func (p Server) view() view {
	return view{template: "server", title: serverName(p.Name), script: true, owner: true, nav: "home", version: p.Version}
}

// Self is where the script gets the page.
func (p Server) Self() string { return "/servers/" + p.Slug }

// FormToken is the token of the form that posts to action.
func (p Server) FormToken(action string) string { return Home{Token: p.Token}.FormToken(action) }

// Dot is the color of the state.
func (p Server) Dot() string { return stateDot(p.State, p.Paused) }

// Asked is how many requests of other devices are shown.
func (p Server) Asked() int { return Home{Pending: p.Pending}.Asked() }

// Public reports whether apps on the internet can reach the server.
func (p Server) Public() bool { return p.MCPURL != "" && p.MCPURL != p.LocalMCPURL }

// AllApps leads to those that are not shown; "" if all are.
func (p Server) AllApps() string {
	if p.Apps <= len(p.Grants) {
		return ""
	}
	return t("card.grants.all", thousands(int64(p.Apps)))
}

// StruckWords says how often the server repeated the key; "" if never.
func (p Server) StruckWords() string {
	switch p.Struck {
	case 0:
		return ""
	case 1:
		return t("card.struck.1")
	}
	return t("card.struck", p.Struck)
}

// OfOneApp reports whether one connected app alone uses the key.
func (c CredentialRow) OfOneApp() bool { return c.For == api.ForGrant }

// UnwatchedWords says why answers are not searched for the key; "" if they are.
func (c CredentialRow) UnwatchedWords() string {
	switch c.Unwatched {
	case api.UnwatchedShort, api.UnwatchedGuessable:
		return t("card.key." + c.Unwatched)
	}
	return ""
}

// Dot is the color of the state.
func (c CredentialRow) Dot() string { return keyDot(c.State) }

// Words is the state for the reader.
func (c CredentialRow) Words() string { return stateWords(c.State) }

func keyDot(state string) string {
	switch badge(state) {
	case badgeOK:
		return "ok"
	case badgeWarn:
		return "warn"
	case badgeError:
		return "err"
	}
	return ""
}

// Words is the state for the reader.
func (k SavedKey) Words() string { return stateWords(k.State) }

// Badge is what the state looks like.
func (k SavedKey) Badge() string { return badge(k.State) }
