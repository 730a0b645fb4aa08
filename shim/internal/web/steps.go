package web

import "html/template"

// Steps are the first steps of a new owner.
type Steps struct {
	KeySafe  bool // keys can be saved, and are kept
	Keychain Keychain

	Slug, Server, MCPURL string // the first endpoint, and its address for clients

	Local       bool // the owner said that all apps are on this computer
	Tunnel      bool // a tunnel is turned on
	Online      bool // and it is open
	TunnelWords string

	Asked     bool   // a client has come
	Review    string // the page that waits for the owner's answer, or ""
	Connected bool
	App       string // the first one that is connected

	OfferLogin bool // login could start the program, and does not
}

// A firstStep is one of them, for the template.
type firstStep struct {
	ID        string // names its own part of the template
	Done, Now bool   // Now is the first that is not done
	Steps
	Token func(action string) string
}

// List is the steps in their order.
func (s Steps) List(p Home) []firstStep {
	all := []firstStep{
		{ID: "keychain", Done: s.KeySafe},
		{ID: "server", Done: s.Server != ""},
		{ID: "where", Done: s.Local || s.Online || s.Connected},
		{ID: "copy", Done: s.Asked},
		{ID: "wait", Done: s.Asked},
		{ID: "connected", Done: s.Connected},
	}
	now := true
	for i := range all {
		all[i].Steps, all[i].Token = s, p.FormToken
		// Where there is no keychain at all nothing keeps the owner from going on.
		passed := all[i].Done || all[i].ID == "keychain" && s.Keychain.Mode == "memory"
		all[i].Now = now && !passed
		now = now && passed
	}
	return all
}

// FormToken is the token of the form that posts to action.
func (s firstStep) FormToken(action string) string { return Home{Token: s.Token}.FormToken(action) }

// Title names the step.
func (s firstStep) Title() string { return t("first." + s.ID) }

// KeptWhere says where the master key is.
func (s firstStep) KeptWhere() string { return Home{Keychain: s.Keychain}.KeptWhere() }

// Href is the page that waits for the owner.
func (s firstStep) Href() template.URL { return safeURL(s.Review) }
