package web

import (
	"html/template"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/display"
)

// A Link leads away from the program, to where the reader came from.
type Link struct {
	To  string // host or name of the client: "Return to example.com"
	URL string
}

// Href is the link's address, or "" if no page may link to it.
func (l Link) Href() template.URL { return safeURL(l.URL) }

// safeURL lets through web addresses and the custom schemes of native apps
// (RFC 8252, Section 7.1), and nothing that a browser runs or opens itself.
func safeURL(s string) template.URL {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || display.Text(s, display.NoLimit) != s || strings.ContainsAny(s, "\"<>\\` \t\n") {
		return ""
	}
	if slices.Contains([]string{
		"javascript", "vbscript", "data", "blob", "file", "filesystem", "about", "view-source", "chrome", "ws", "wss", "ftp",
	}, u.Scheme) {
		return ""
	}
	if (u.Scheme == "http" || u.Scheme == "https") && u.Host == "" {
		return ""
	}
	return template.URL(s)
}

// ownPath lets through paths of our own, to which alone forms are sent, and
// sends any other back to the page that the form is on.
func ownPath(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.Contains(s, `\`) {
		return ""
	}
	return s
}

// ErrorPage says what went wrong and what to do about it.
type ErrorPage struct {
	Title, Words string
	Next         string // what to do
	Detail       string // small print: what a peer said, or a name to search for
	Return       *Link  // offered, never followed automatically
	Home         bool   // offer the home page
	Side
}

func (p ErrorPage) view() view { return p.Side.on(view{template: "error", title: p.Title}) }

// NotFound is the page of a path that has no page.
type NotFound struct{ Side }

func (p NotFound) view() view {
	return p.Side.on(view{template: "not-found", title: t("nowhere.h1")})
}

// Address is what a person sees who opens an app's address in a browser.
type Address struct{ Side }

func (p Address) view() view {
	return p.Side.on(view{template: "address", title: t("address.title")})
}

// A SavedKey is a key that may be chosen.
type SavedKey struct {
	ID, Label string
	State     string // endpoint.CredentialState
}

// Usable reports whether choosing the key makes sense.
func (k SavedKey) Usable() bool { return k.State != api.CredentialKeyNeeded }

// Short is its state, beside its name.
func (k SavedKey) Short() string {
	switch k.State {
	case api.CredentialOK, api.CredentialRejected, api.CredentialUnverified:
		return t("key.is." + k.State)
	case api.CredentialKeyNeeded:
		return t("key.is.lost")
	}
	return k.Words()
}

// Mark is the class of its state.
func (k SavedKey) Mark() string {
	return map[string]string{badgeOK: "", badgeError: "e", badgeWarn: "w"}[k.Badge()]
}

// An EndpointChoice is one endpoint that a request without a resource may mean.
type EndpointChoice struct {
	Slug, Name, UpstreamHost string
	Saved                    []SavedKey
}

// Consent asks whether a client may use an endpoint. Its form posts
// form_token, api_key, key_held, credential (a saved key's id, or "new"), slug
// (only with Pick), confirmed=1 (only with a box to confirm), and one of action=approve, action=deny or
// unverified=1.
type Consent struct {
	App       display.App
	Unchecked bool   // App says who it is by a document that could not be read
	Answer    Answer // where the answer goes

	Number int // that the other device shows, and the owner has typed; or 0

	Endpoint, UpstreamHost string
	UpstreamPlain          bool // http: the key travels unencrypted

	Owner     bool
	Action    string
	FormToken string

	Saved       []SavedKey
	Pick        []EndpointChoice // for the owner, when the request names no endpoint
	Selected    string           // slug that was chosen of Pick
	SelectedKey string           // saved key's id, or "new"
	KeyHeld     string           // handle of a key that was pasted and is kept

	Error      string  // what is wrong with the answer, and what to do
	Trouble    Trouble // of the Error
	CanSkip    bool    // the key could not be verified, and the owner may continue
	NeedUnlock string  // words about a locked keychain
	Mode       string  // of the keychain; see api.Keychain

	Confirmed bool // the box is checked
}

func (p Consent) view() view {
	return view{template: "consent", title: p.Heading(), script: true, connect: true, bare: true, device: p.Answer.Flow == FlowDevice}
}

// Digits is the number of the other device.
func (p Consent) Digits() string {
	if p.Number == 0 {
		return ""
	}
	return strconv.Itoa(p.Number)
}

// Only is the only saved key of the server, or nil. It needs no list.
func (p Consent) Only() *SavedKey {
	if len(p.Saved) != 1 || len(p.Pick) > 0 {
		return nil
	}
	return &p.Saved[0]
}

// Chosen is what the page comes with chosen: what the form sent, or else the only
// saved key, and the field for another one if that key is known to be of no use.
// Of several keys, none is.
func (p Consent) Chosen() string {
	switch only := p.Only(); {
	case p.SelectedKey != "" || only == nil:
		return p.SelectedKey
	case !only.Usable(), only.Badge() == badgeError:
		return "new"
	default:
		return only.ID
	}
}

// Named reports whether the app says what it is called.
func (p Consent) Named() bool { return name(p.App.Name) != "" }

// Asker is the app in the middle of a sentence.
func (p Consent) Asker() string {
	if !p.Named() && p.App.Host == "" {
		return t("consent.theapp")
	}
	return p.App.String()
}

// Target names the server for its monogram.
func (p Consent) Target() string {
	if len(p.Pick) > 0 {
		return ""
	}
	return p.Endpoint
}

// Says is what the page says about where the answer goes.
func (p Consent) Says() Statement {
	if len(p.Pick) > 0 {
		return Say(p.Answer, t("consent.some"))
	}
	return Say(p.Answer, name(p.Endpoint))
}

// Heading is the question. One from another device begins with that device,
// since the name of the app is no more than what was sent from there.
func (p Consent) Heading() string {
	client, server := p.App.String(), display.Text(p.Endpoint, display.MaxName)
	if !p.Named() && p.App.Host == "" {
		client = t("consent.anapp")
	}
	switch device := p.Answer.Flow == FlowDevice; {
	case device && len(p.Pick) > 0:
		return t("consent.h1.device.0")
	case device:
		return t("consent.h1.device", server)
	case len(p.Pick) > 0:
		return t("consent.h1", client)
	}
	return t("consent.h1.one", client, server)
}

// ErrorHeading is what stands above the error.
func (p Consent) ErrorHeading() string { return p.Trouble.heading() }

// Mild reports whether the error is no failure.
func (p Consent) Mild() bool { return p.Trouble.mild() }

// SavedAny reports whether there is any saved key to choose.
func (p Consent) SavedAny() bool {
	return len(p.Saved) > 0 || slices.ContainsFunc(p.Pick, func(e EndpointChoice) bool { return len(e.Saved) > 0 })
}

// KeyField is the field for the API key.
func (p Consent) KeyField() KeyField {
	f := KeyField{
		Label:    t("key.label"),
		Required: !p.SavedAny() && p.KeyHeld == "",
		Held:     p.KeyHeld,
	}
	if len(p.Pick) == 0 {
		f.Label = t("key.label.for", name(p.Endpoint))
	}
	switch {
	case !p.Owner:
		f.Hint = t("consent.key.once")
	case p.Mode == api.ModeMemory:
		f.Hint = t("consent.key.memory")
	case p.Answer.Flow == FlowDevice:
		f.Hint = t("consent.key.device")
	default:
		f.Hint = t("consent.key.saved")
	}
	return f
}

// NumberPage asks for the number that another device shows, before anything of
// its request is shown. Its form posts form_token, and number or action=deny.
type NumberPage struct {
	Action, FormToken string
	Error             string
}

func (p NumberPage) view() view {
	return view{template: "number", title: t("number.h1"), script: true, connect: true, bare: true, device: true}
}

// OwnerNeededPage is shown to a browser that has not proven to be the owner's.
type OwnerNeededPage struct {
	Words   string
	Command string // what to type into a terminal; "" for the usual one
	Keep    string // hears that the page is still open; or ""
	Told    bool   // a notification leads the owner to what this page is about
}

func (p OwnerNeededPage) view() view {
	return view{template: "need-owner", title: t("owner.title"), script: true, connect: p.Keep != ""}
}

// ReturnPage leads back to a native app, which a redirect alone may fail to open.
type ReturnPage struct {
	To      string
	URL     string // validated by the caller; a scheme that a browser runs is not linked
	Refresh bool   // go there automatically as well
	Denied  bool   // the app is told that it gets no access
	Public  bool   // it is on a public origin
}

// Href is the app's address.
func (p ReturnPage) Href() template.URL { return safeURL(p.URL) }

func (p ReturnPage) view() view {
	return view{template: "return", title: t("return.title", name(p.To)), public: p.Public}
}

// DonePage says that something is finished and the window may be closed.
type DonePage struct{ Title, Words string }

func (p DonePage) view() view { return view{template: "done", title: p.Title} }

// OpenLink is the page of the one-time link. Its form posts ticket and next.
type OpenLink struct{ Action, Ticket, Next string }

func (p OpenLink) view() view {
	return view{template: "open", title: t("open.title"), script: true, owner: true}
}

// SignedOutPage follows the end of the owner's session.
type SignedOutPage struct{}

func (p SignedOutPage) view() view {
	return view{template: "signed-out", title: t("out.title"), script: true}
}

// ConfirmPage asks before something that cannot be undone. Its form posts
// form_token.
type ConfirmPage struct {
	Title, Words      string
	Consequences      []string
	Action, FormToken string
	Button            string
	Danger            bool
	Cancel            string // address to go back to
}

func (p ConfirmPage) view() view {
	return view{template: "confirm", title: p.Title, script: true, owner: true, nav: "home"}
}

// A KeyField is what the template of a field for a secret needs. ID is its name
// too; "" stands for api_key.
type KeyField struct {
	ID               string
	Label, Hint, Err string
	Held             string
	Required, Focus  bool
}

// Name is the name of the field.
func (f KeyField) Name() string {
	if f.ID == "" {
		return "api_key"
	}
	return f.ID
}

// Reveal names the button that shows what was typed.
func (f KeyField) Reveal() string {
	if f.ID == "" {
		return t("show.label")
	}
	return t("show.label.what", f.Label)
}

// describedBy joins the ids that explain a field.
func describedBy(ids ...string) string { return strings.TrimSpace(strings.Join(ids, " ")) }
