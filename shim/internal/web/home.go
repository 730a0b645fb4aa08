package web

import "strings"

// Home is the owner's home page. Its forms post to /endpoints, /pause,
// /resume, /damaged, /keychain/unlock, /keychain/keep, /steps/local, /steps/login,
// /steps/hide and /sign-out, each with form_token; its links lead to the pages
// of one endpoint or grant. What its template marks as data-part the script
// replaces when it changes.
type Home struct {
	Version                   string
	LocalOrigin, PublicOrigin string // PublicOrigin is "" while there is none
	Keychain                  Keychain
	TunnelTrouble             string // why apps on the internet cannot connect, or soon cannot
	DiskTrouble               string // why nothing can be saved
	Damaged                   []DamageRow
	Happened                  []string // to saved data, and was mended
	Paused                    bool
	Stopped                   bool    // some app did not get connected
	Banner                    *Banner // what is most urgent, of all of that; nil if nothing is
	Notices                   []Notice
	Endpoints                 []EndpointRow
	Pending                   []PendingRow
	Create                    CreateForm
	Steps                     *Steps // nil once they are done
	Token                     func(action string) string
}

// A Keychain is the state of the master key, in the vault's words.
type Keychain struct {
	State, Words, Mode string
	CanKeep, CanUnlock bool
}

// A Notice stands above everything else on the home page.
type Notice struct {
	Kind string // "info", "warn", "error" or "ok"
	Text string
}

// Class is the kind, if it is a known one.
func (n Notice) Class() string {
	switch n.Kind {
	case "warn", "error", "ok":
		return n.Kind
	}
	return "info"
}

// Kindly is the kind for those who do not see the color.
func (n Notice) Kindly() string { return t("notice." + n.Class()) }

// An EndpointRow is one card of the home page.
type EndpointRow struct {
	Slug, Name, UpstreamHost string
	UpstreamURL              string // its query shown as "?..."
	MCPURL, LocalMCPURL      string
	State, StateWords        string // as package standing has them
	Why                      string // the state in a sentence; "" while the server works
	Paused                   bool   // everything is, which StateWords say
	Header                   string
	Credentials              []CredentialRow
	Grants                   []GrantRow // the newest
	Apps                     int        // how many there are
	Created, LastUsed        string
	Struck                   int // calls whose answer held the key
}

// A CredentialRow is one saved key.
type CredentialRow struct {
	ID, Label, State string
	For              string // "grant": the key belongs to one connection alone
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
	return view{template: "home", title: t("home.title"), script: true, owner: true, nav: "home", version: p.Version}
}

// FormToken is the token of the form that posts to action.
func (p Home) FormToken(action string) string {
	if p.Token == nil {
		return ""
	}
	return p.Token(action)
}

// KeychainKind is the notice that the keychain's state deserves, or "".
func (p Home) KeychainKind() string {
	switch p.Keychain.State {
	case "", "ready", "file":
		return ""
	case "waiting":
		return "info"
	}
	return "warn"
}

// KeptWhere says where the master key is.
func (p Home) KeptWhere() string {
	switch p.Keychain.Mode {
	case "file", "memory":
		return t("side.keys." + p.Keychain.Mode)
	}
	return t("side.keys.os")
}

// Public reports whether clients elsewhere can reach the endpoint.
func (e EndpointRow) Public() bool { return e.MCPURL != "" && e.MCPURL != e.LocalMCPURL }

// LocalURL is the address for clients on this machine.
func (e EndpointRow) LocalURL() string {
	if e.LocalMCPURL != "" {
		return e.LocalMCPURL
	}
	return e.MCPURL
}

// AllApps leads to those that are not shown; "" if all are.
func (e EndpointRow) AllApps() string {
	if e.Apps <= len(e.Grants) {
		return ""
	}
	return t("card.grants.all", thousands(int64(e.Apps)))
}

// Badge is what the state looks like.
func (e EndpointRow) Badge() string {
	if e.Paused {
		return badge(StatePaused)
	}
	return badge(e.State)
}

// Words is the state for the reader.
func (e EndpointRow) Words() string { return words(e.StateWords) }

// StruckWords says how often the server repeated the key; "" if never.
func (e EndpointRow) StruckWords() string {
	switch e.Struck {
	case 0:
		return ""
	case 1:
		return t("card.struck.1")
	}
	return t("card.struck", e.Struck)
}

// UnwatchedWords says why answers are not searched for the key; "" if they are.
func (c CredentialRow) UnwatchedWords() string {
	switch c.Unwatched {
	case "short", "guessable":
		return t("card.key." + c.Unwatched)
	}
	return ""
}

// Badge is what the state looks like.
func (c CredentialRow) Badge() string { return badge(c.State) }

// Words is the state for the reader.
func (c CredentialRow) Words() string { return stateWords(c.State) }

// Words is the state for the reader.
func (k SavedKey) Words() string { return stateWords(k.State) }

// Badge is what the state looks like.
func (k SavedKey) Badge() string { return badge(k.State) }

func badge(state string) string {
	switch state {
	case "ok":
		return "ok"
	case "rejected", "cannot start":
		return "error"
	case "unverified", "unreachable", "key needed", "paused", "locked", "not confirmed":
		return "warn"
	}
	return "plain"
}

// stateWords names a state of endpoint.CredentialState for people.
func stateWords(state string) string {
	if s, ok := text["state."+strings.ReplaceAll(state, " ", "-")]; ok {
		return s
	}
	return name(state)
}

// commandName makes a display name into a word that needs no quoting in any
// shell and that clients accept as the name of a server.
func commandName(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() == 40 {
			break
		}
	}
	if n := strings.Trim(b.String(), "-"); n != "" {
		return n
	}
	return "my-server"
}

// shellQuote quotes s if a shell would read any of it as its own.
func shellQuote(s string) string {
	special := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@", r))
	}
	if s != "" && strings.IndexFunc(s, special) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
