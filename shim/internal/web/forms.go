package web

import (
	"net/url"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// CreateForm adds a server. It posts to /servers: form_token, upstream_url,
// api_key, key_held, display_name, auth_header_name, auth_header_prefix, and
// force=1 where the reader pressed that button. upstream_url takes an address, a
// configuration or a command line; what was understood of these comes back with
// Found, before anything is sent. A pasted key is never written back into the
// page: the caller keeps it and gives its handle in KeyHeld.
type CreateForm struct {
	UpstreamURL, Name, HeaderName, HeaderPrefix string
	Found                                       bool // the fields are what was read out of a paste
	Left                                        []Omission
	Error, ErrorField                           string // ErrorField is the name of a field, or ""
	Warning                                     string
	CanForce                                    bool // offer "Add it anyway"
	AdvancedOpen                                bool
	KeyHeld                                     string
}

// An Omission is a part of a paste that was not taken: Kind is that of an
// endpoint.LeftOut.
type Omission struct{ Kind, Name string }

// Why says why it was left out.
func (l Omission) Why() string { return t("create.left." + l.Kind) }

// AddPage is the page with the form.
type AddPage struct {
	Version string
	Create  CreateForm
	Token   func(action string) string
}

func (p AddPage) view() view {
	return view{template: "add", title: t("create.h2"), script: true, owner: true, nav: "home", version: p.Version}
}

// FormToken is the token of the form that posts to action.
func (p AddPage) FormToken(action string) string { return Home{Token: p.Token}.FormToken(action) }

// AddKeyPage adds a server that is there already with another key. Its form posts to
// /servers/{slug}/again: form_token, display_name, api_key, key_held and force=1.
type AddKeyPage struct {
	Slug, Name, Host string
	Create           CreateForm
	FormToken        string
}

func (p AddKeyPage) view() view {
	return view{template: "again", title: t("again.h"), script: true, owner: true, nav: "home"}
}

// DeletedServers lists the servers that can be restored. Its forms post to
// /servers/deleted: form_token, slug, and action=forget to delete one for good.
type DeletedServers struct {
	Version string
	Rows    []DeletedRow
	Notices []Notice
	Token   func(action string) string
}

// A DeletedRow is a server that can be restored.
type DeletedRow struct{ Slug, Name, Host, Deleted, Until string }

func (p DeletedServers) view() view {
	return view{template: "deleted", title: t("deleted.h1"), script: true, owner: true, nav: "home", version: p.Version}
}

// FormToken is the token of the form that posts to action.
func (p DeletedServers) FormToken(action string) string {
	return Home{Token: p.Token}.FormToken(action)
}

// FieldError reports whether the error is shown beside its field.
func (f CreateForm) FieldError() bool { return isField(f.ErrorField) }

// Problem is an error that belongs to no field.
func (f CreateForm) Problem() problem { return problem{t("form.error"), f.Error, true} }

// URLField is the field for the address of the server.
func (f CreateForm) URLField() textField {
	return urlField("create.url.label", "create.url.hint.2", f.UpstreamURL, f.Error, f.ErrorField)
}

// NameField is the field for the name.
func (f CreateForm) NameField() textField {
	return nameField(f.Name, "create.name.hint", f.Error, f.ErrorField)
}

// HeaderField is the field for the header.
func (f CreateForm) HeaderField() textField {
	return headerField(f.header().Name, "create.head.hint", f.Error, f.ErrorField)
}

// PrefixField is the field for the text in front of the key.
func (f CreateForm) PrefixField() textField {
	return prefixField(f.header().Prefix, f.Error, f.ErrorField)
}

// header is what the form shows: the default, unless another one was typed.
func (f CreateForm) header() endpoint.Header {
	if f.HeaderName == "" && f.HeaderPrefix == "" {
		return endpoint.DefaultHeader
	}
	return endpoint.Header{Name: f.HeaderName, Prefix: f.HeaderPrefix}
}

// Open reports whether the folded part of the form is shown.
func (f CreateForm) Open() bool {
	return f.AdvancedOpen || f.Advanced()
}

// Advanced reports whether the error is in the folded part.
func (f CreateForm) Advanced() bool {
	return f.ErrorField == "display_name" && !f.Found || strings.HasPrefix(f.ErrorField, "auth_header_")
}

// KeyField is the field for the API key.
func (f CreateForm) KeyField() KeyField {
	k := KeyField{Label: t("create.key.label"), Hint: t("create.key.hint"), Held: f.KeyHeld}
	if f.ErrorField == "api_key" {
		k.Err, k.Focus = f.Error, true
	}
	return k
}

// EditEndpointPage changes an endpoint. It posts to /servers/{slug}/edit: form_token,
// upstream_url, display_name, auth_header_name, auth_header_prefix and force=1.
type EditEndpointPage struct {
	Slug              string
	Title             string // the endpoint's present name
	UpstreamURL       string // without its query and what looks like a key
	HidesPart         bool   // it has such a part, which is kept while the URL is not changed
	Name              string
	HeaderName        string
	HeaderPrefix      string
	Error, ErrorField string
	Warning           string
	CanForce          bool
	FormToken         string
}

func (p EditEndpointPage) view() view {
	return view{template: "edit", title: t("edit.title", name(p.Heading())), script: true, owner: true, nav: "home"}
}

// Heading is the name under which the endpoint is known now.
func (p EditEndpointPage) Heading() string {
	if p.Title != "" {
		return p.Title
	}
	return p.Name
}

// FieldError reports whether the error is shown beside its field.
func (p EditEndpointPage) FieldError() bool { return isField(p.ErrorField) }

// Problem is an error that belongs to no field.
func (p EditEndpointPage) Problem() problem { return problem{t("form.error"), p.Error, true} }

// URLField is the field for the address of the server.
func (p EditEndpointPage) URLField() textField {
	return urlField("edit.url.label", "edit.url.hint", p.UpstreamURL, p.Error, p.ErrorField)
}

// NameField is the field for the name.
func (p EditEndpointPage) NameField() textField { return nameField(p.Name, "", p.Error, p.ErrorField) }

// HeaderField is the field for the header.
func (p EditEndpointPage) HeaderField() textField {
	return headerField(p.HeaderName, "edit.head.hint", p.Error, p.ErrorField)
}

// PrefixField is the field for the text in front of the key.
func (p EditEndpointPage) PrefixField() textField {
	return prefixField(p.HeaderPrefix, p.Error, p.ErrorField)
}

// ReplaceKeyPage takes a new key for an endpoint. It posts to
// /servers/{slug}/key: form_token, api_key, key_held, credential and force=1.
type ReplaceKeyPage struct {
	Slug, Name, UpstreamHost string
	Credentials              []SavedKey
	Selected                 string
	Error                    string
	CanForce                 bool
	KeyHeld                  string
	FormToken                string
}

func (p ReplaceKeyPage) view() view {
	return view{template: "replace-key", title: t("replace.title", name(p.Name)), script: true, owner: true, nav: "home"}
}

// KeyField is the field for the API key.
func (p ReplaceKeyPage) KeyField() KeyField {
	return KeyField{
		Label: t("key.label.new"), Hint: t("replace.hint", name(p.UpstreamHost)), Held: p.KeyHeld,
		Required: p.KeyHeld == "", Focus: p.Error == "" && len(p.Credentials) < 2,
	}
}

// Many reports whether the reader must say which key is replaced.
func (p ReplaceKeyPage) Many() bool { return len(p.Credentials) > 1 }

// Problem is what the upstream said about the key.
func (p ReplaceKeyPage) Problem() problem { return problem{t("replace.error"), p.Error, true} }

// EditKeyPage renames a key. It posts to Action: form_token and label.
type EditKeyPage struct {
	Slug, ID  string
	Endpoint  string
	Title     string // the key's present label
	Label     string
	Error     string // about the label
	FormToken string
}

func (p EditKeyPage) view() view {
	return view{template: "edit-key", title: p.Heading(), script: true, owner: true, nav: "home"}
}

// Heading names the key and its endpoint.
func (p EditKeyPage) Heading() string { return t("keyname.title", whole(p.Title), name(p.Endpoint)) }

// whole keeps a short label such as "key 1" in one line.
func whole(label string) string {
	label = name(label)
	if len(label) <= 12 {
		label = strings.ReplaceAll(label, " ", "\u00a0")
	}
	return label
}

// Action is where the form goes.
func (p EditKeyPage) Action() string {
	return "/servers/" + url.PathEscape(p.Slug) + "/keys/" + url.PathEscape(p.ID)
}

// LabelField is the field for the label.
func (p EditKeyPage) LabelField() textField {
	return textField{ID: "label", Label: t("keyname.label"), Hint: t("keyname.hint"), Value: p.Label, Err: p.Error, Max: 200, Required: true}
}

// DeleteKey asks whether a key may be deleted; apps are those that use it.
func DeleteKey(k EditKeyPage, apps []string) ConfirmPage {
	p := ConfirmPage{
		Title: t("keygone.title", whole(k.Title), name(k.Endpoint)), Words: t("keygone.words"),
		Consequences: []string{t("keygone.1")}, Action: k.Action() + "/delete", Button: t("keygone.button"), Danger: true, Cancel: "/servers/" + url.PathEscape(k.Slug),
	}
	for _, app := range apps {
		p.Consequences = append(p.Consequences, t("keygone.app", name(app)))
	}
	if len(apps) == 0 {
		p.Consequences = append(p.Consequences, t("keygone.none"))
	}
	return p
}

// A problem is an error above a form.
type problem struct {
	Title, Words string
	Focus        bool
}

// A textField is what the template of a text field needs. ID is its name too.
type textField struct {
	ID, Label, Hint, Value, Err, Mode string
	Max                               int
	Required                          bool
}

func isField(name string) bool {
	switch name {
	case "upstream_url", "api_key", "public_url", "authtoken", "display_name", "auth_header_name", "auth_header_prefix":
		return true
	}
	return false
}

// withError adds err to the field if it is the one that is wrong.
func (f textField) withError(err, field string) textField {
	if field == f.ID {
		f.Err = err
	}
	return f
}

func urlField(label, hint, value, err, field string) textField {
	return textField{ID: "upstream_url", Label: t(label), Hint: t(hint), Value: value, Mode: "url", Max: 4096, Required: true}.withError(err, field)
}

func nameField(value, hint, err, field string) textField {
	f := textField{ID: "display_name", Label: t("create.name.label"), Value: value, Max: 200}
	if hint != "" {
		f.Hint = t(hint)
	}
	return f.withError(err, field)
}

func headerField(value, hint, err, field string) textField {
	return textField{ID: "auth_header_name", Label: t("create.head.label"), Hint: t(hint), Value: value, Max: 64}.withError(err, field)
}

func prefixField(value, err, field string) textField {
	return textField{ID: "auth_header_prefix", Label: t("create.pre.label"), Hint: t("create.pre.hint"), Value: value, Max: 64}.withError(err, field)
}
