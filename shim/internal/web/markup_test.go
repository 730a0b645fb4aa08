package web

import (
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/display"
)

// An element is a start tag of a page.
type element struct {
	name string
	attr map[string]string
}

var inlined = regexp.MustCompile(`(?s)(<(style|script) nonce="[^"]*">).*?(</(?:style|script)>)`)

// parse reads the start tags of one of our pages. It cannot read all HTML: a
// page that it rejects is not as tidy as ours must be.
func parse(t testing.TB, page string) []element {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(inlined.ReplaceAllString(page, "$1$3")))
	d.Strict = false
	d.AutoClose = append(xml.HTMLAutoClose, "wbr", "WBR")
	d.Entity = xml.HTMLEntity
	var all []element
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("page cannot be read: %v", err)
		}
		if s, ok := tok.(xml.StartElement); ok {
			e := element{s.Name.Local, make(map[string]string)}
			for _, a := range s.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			all = append(all, e)
		}
	}
}

var allowedElements = strings.Fields(`html head meta title link style script body header footer main section article aside
	div span p a h1 h2 h3 ul ol li dl dt dd strong code pre br wbr form fieldset legend label input textarea button details summary
	nav table thead tbody tr th td time template select option noscript progress svg g path circle rect b small del ins`)

// TestHostileTextIsInert: for any text from strangers, the page has only our
// elements and attributes, loads nothing, and has no link to a script.
func TestHostileTextIsInert(t *testing.T) {
	for _, s := range states() {
		t.Run("A15 inert/"+s.name, func(t *testing.T) { checkInert(t, render(s.page).Body.String()) })
	}
}

func checkInert(t *testing.T, page string) {
	t.Helper()
	if strip(page) != page {
		t.Error("invisible characters in the page")
	}
	for _, e := range parse(t, page) {
		if !slices.Contains(allowedElements, e.name) {
			t.Errorf("element %q", e.name)
		}
		for name, value := range e.attr {
			if strings.HasPrefix(name, "on") || name == "style" || name == "src" || name == "srcset" || name == "formaction" {
				t.Errorf("attribute %s of %s", name, e.name)
			}
			if name != "href" && name != "action" || strings.HasPrefix(value, "#ZgotmplZ") {
				continue
			}
			u, err := url.Parse(value)
			if err != nil {
				t.Errorf("%s=%q: %v", name, value, err)
				continue
			}
			own := u.Scheme == "" && u.Host == ""
			if !own && !(e.name == "link" && u.Scheme == "data") && (name == "action" || safeURL(value) == "") {
				t.Errorf("%s=%q of %s leads astray", name, value, e.name)
			}
		}
	}
}

// TestMarkup checks that every page has what assistive technology needs.
func TestMarkup(t *testing.T) {
	for _, s := range states() {
		if strings.Contains(s.name, "hostile") {
			continue // its ids are all the same
		}
		t.Run(s.name, func(t *testing.T) {
			all := parse(t, render(s.page).Body.String())
			count := make(map[string]int)
			ids := make(map[string]int)
			labels := make(map[string]bool)
			for _, e := range all {
				count[e.name]++
				if id := e.attr["id"]; id != "" {
					ids[id]++
				}
				if f := e.attr["for"]; f != "" {
					labels[f] = true
				}
			}
			main := 0
			for _, e := range all {
				if classes := strings.Fields(e.attr["class"]); slices.Contains(classes, "btn") && slices.Contains(classes, "p") {
					main++
				}
			}
			if main > 1 {
				t.Errorf("got %d main buttons, want one at most", main)
			}
			for _, name := range []string{"h1", "main", "title"} {
				if count[name] != 1 {
					t.Errorf("got %d elements %s, want 1", count[name], name)
				}
			}
			for id, n := range ids {
				if n > 1 {
					t.Errorf("id %q occurs %d times", id, n)
				}
			}
			for _, e := range all {
				for _, ref := range strings.Fields(e.attr["aria-describedby"] + " " + e.attr["aria-labelledby"] + " " + e.attr["for"]) {
					if ids[ref] == 0 {
						t.Errorf("%s refers to %q, which is not on the page", e.name, ref)
					}
				}
				field := e.name == "textarea" || e.name == "select" || e.name == "input" && e.attr["type"] == "text"
				if field && !labels[e.attr["id"]] && e.attr["aria-label"] == "" {
					t.Errorf("field %q has no label", e.attr["name"])
				}
			}
		})
	}
}

// TestForms: every POST form contains its token, and every field has a name
// that the page structs document.
func TestForms(t *testing.T) {
	known := strings.Fields(`form_token api_key key_held credential slug action unverified upstream_url display_name
		auth_header_name auth_header_prefix force ticket next q server number confirmed
		authtoken public_url preset login proxy lifetime log_level label file confirm word passphrase again file_passphrase id app show kind`)
	for _, s := range states() {
		page := render(s.page).Body.String()
		forms := strings.Split(page, "<form ")[1:]
		for _, form := range forms {
			form, _, _ = strings.Cut(form, "</form>")
			if strings.HasPrefix(form, `method="get"`) && strings.Contains(form, `role="search"`) {
				continue // it changes nothing
			}
			if !strings.HasPrefix(form, `method="post"`) {
				t.Errorf("%s: form is not posted: %.60s", s.name, form)
			}
			if _, link := s.page.(OpenLink); !link && !strings.Contains(form, `name="form_token"`) {
				t.Errorf("%s: form without a token: %.60s", s.name, form)
			}
		}
		for _, e := range parse(t, page) {
			if n := e.attr["name"]; n != "" && e.name != "meta" && !slices.Contains(known, n) {
				t.Errorf("%s: field %q is not documented", s.name, n)
			}
		}
	}
}

// FuzzRender puts a stranger's text into every field of the pages that show
// such text.
func FuzzRender(f *testing.F) {
	for which := range byte(11) {
		f.Add(which, hostile, "https")
		f.Add(which, tower+"\n\"'`<!--{{", "loopback")
		f.Add(which, "javascript:alert(1)", "custom")
	}
	f.Fuzz(func(t *testing.T, which byte, s, kind string) {
		p := fuzzPage(which, s, kind)
		w := render(p)
		if w.Code != 200 {
			t.Fatalf("%T with %q: got status %d", p, s, w.Code)
		}
		checkInert(t, w.Body.String())
	})
}

func fuzzPage(which byte, s, kind string) Page {
	keys := []SavedKey{{s, s, s}}
	switch which % 11 {
	case 0:
		return Consent{App: display.App{Name: s, Host: s, Known: len(s)%2 == 0}, Unchecked: len(s)%3 == 0, Answer: Answer{Kind: kind, Host: s, Flow: Flow(s)}, Endpoint: s, UpstreamHost: s, Action: s,
			FormToken: s, Saved: keys, KeyHeld: s, Error: s, NeedUnlock: s}
	case 1:
		return Consent{Pick: []EndpointChoice{{s, s, s, keys}}, Answer: Answer{Kind: kind, Host: s, Flow: FlowDevice}, Selected: s}
	case 2:
		return ErrorPage{Title: s, Words: s, Next: s, Detail: s, Return: &Link{s, s}}
	case 3:
		return ReturnPage{s, s, true, false, false}
	case 4:
		return ConfirmPage{Title: s, Words: s, Consequences: []string{s}, Action: s, Button: s, Cancel: s}
	case 5:
		return ReplaceKeyPage{Slug: s, Name: s, Credentials: keys, Error: s}
	case 7:
		return Activity{Query: s, Server: s, Servers: []ServerOption{{s, s}}, Rows: []CallRow{{Client: s, Server: s, Method: s, Tool: s}, {Method: s}}, Newest: s, Older: s, Paged: len(s)%2 == 0}
	case 9:
		return SignIn{App: display.App{Name: s, Host: s, Known: len(s)%2 == 0}, Continue: s, Ask: s, FormToken: s, Auto: true}
	case 10:
		return WaitingPage{App: display.App{Name: s}, Number: 47, Check: s, Every: time.Second}
	case 6:
		return EditEndpointPage{Slug: s, Name: s, UpstreamURL: s, Error: s, ErrorField: kind}
	}
	if len(s)%2 == 0 {
		return Server{Slug: "k3v9x2m7q4ab", Name: s, UpstreamURL: s, MCPURL: s, LocalMCPURL: kind, StateWords: s, Grants: []GrantRow{{ID: s, Client: s, ReturnsTo: s}}, Banner: &Banner{Words: s, Href: s, Do: kind, Button: s}}
	}
	return Home{All: len(s), Rows: []ServerRow{{Slug: "k3v9x2m7q4ab", Name: s, Host: s, StateWords: s, Apps: []string{s, kind}, NumApps: len(s)}}, Search: s, Page: 2, Pages: 3,
		Create: CreateForm{UpstreamURL: s, Error: s, ErrorField: kind, Found: len(kind)%2 == 0, Left: []Omission{{kind, s}}}}
}
