package shimtest

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A Browser opens pages and sends their forms with the headers that browsers
// send. It keeps cookies, follows redirects on its own origin, and stops where
// one leads to another origin.
type Browser struct {
	t      testing.TB
	Origin string // the pages' origin: http://127.0.0.1:PORT
	HTTP   *http.Client
}

// NewBrowser returns a browser without cookies.
func NewBrowser(t testing.TB, origin string) *Browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &Browser{t: t, Origin: origin}
	b.HTTP = &http.Client{Transport: fresh.Transport, Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), b.Origin+"/") {
			return http.ErrUseLastResponse
		}
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", "document")
		return nil
	}}
	return b
}

// A Page is what a browser shows.
type Page struct {
	Status   int
	URL      *url.URL
	Header   http.Header
	Body     string
	Location string // target of a redirect to another origin
	Forms    []Form
}

// A Form is one form of a page.
type Form struct {
	Action  string
	Fields  []Field
	Buttons []Field
}

// A Field is an input, a text area or a button.
type Field struct{ Type, Name, Value string }

// Has reports whether the form has a field of that name.
func (f Form) Has(name string) bool {
	return slices.ContainsFunc(f.Fields, func(g Field) bool { return g.Name == name })
}

// Open goes to u, which may be a path, like a click on another site's link.
func (b *Browser) Open(u string) *Page {
	b.t.Helper()
	req := b.request(http.MethodGet, u, nil)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	return b.Do(req)
}

// Submit sends a form of p: its hidden fields, overridden by values. An empty
// value removes a field.
func (b *Browser) Submit(f Form, values map[string]string) *Page {
	b.t.Helper()
	return b.Do(b.FormRequest(f, values))
}

// FormRequest returns the request that Submit sends.
func (b *Browser) FormRequest(f Form, values map[string]string) *http.Request {
	b.t.Helper()
	v := url.Values{}
	for _, field := range f.Fields {
		if field.Type == "hidden" && field.Name != "" {
			v.Set(field.Name, field.Value)
		}
	}
	for name, value := range values {
		if value == "" {
			v.Del(name)
		} else {
			v.Set(name, value)
		}
	}
	req := b.request(http.MethodPost, f.Action, strings.NewReader(v.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", b.Origin)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return req
}

func (b *Browser) request(method, u string, body io.Reader) *http.Request {
	b.t.Helper()
	if strings.HasPrefix(u, "/") {
		u = b.Origin + u
	}
	req, err := http.NewRequest(method, u, body)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Dest", "document")
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) shimtest")
	return req
}

// Do sends req and returns the page.
func (b *Browser) Do(req *http.Request) *Page {
	b.t.Helper()
	resp, err := b.HTTP.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	p := &Page{Status: resp.StatusCode, URL: resp.Request.URL, Header: resp.Header, Body: string(body)}
	if resp.StatusCode/100 == 3 {
		p.Location = resp.Header.Get("Location")
	}
	p.Forms = forms(p.Body)
	return p
}

// Form returns the form that posts to action. The page must have it.
func (b *Browser) Form(p *Page, action string) Form {
	b.t.Helper()
	for _, f := range p.Forms {
		if f.Action == action {
			return f
		}
	}
	b.t.Fatalf("page %s (%d) has no form for %s:\n%s", p.URL, p.Status, action, p.Body)
	return Form{}
}

// SignIn redeems an owner's link.
func (b *Browser) SignIn(link string) *Page {
	b.t.Helper()
	return b.Submit(b.Form(b.Open(link), "/open"), nil)
}

// Consent opens an authorization URL and answers its form.
func (b *Browser) Consent(authorizeURL string, values map[string]string) *Page {
	b.t.Helper()
	p := b.Open(authorizeURL)
	return b.Submit(b.Form(p, p.URL.Path), values)
}

// html/template makes the pages, so their tags are regular.
var (
	formTag  = regexp.MustCompile(`(?s)<form\b([^>]*)>(.*?)</form>`)
	fieldTag = regexp.MustCompile(`(?s)<(input|textarea|button)\b([^>]*)>`)
	attrTag  = regexp.MustCompile(`([\w-]+)\s*=\s*"([^"]*)"`)
)

func forms(body string) []Form {
	var all []Form
	for _, m := range formTag.FindAllStringSubmatch(body, -1) {
		f := Form{Action: attrs(m[1])["action"]}
		for _, tag := range fieldTag.FindAllStringSubmatch(m[2], -1) {
			a := attrs(tag[2])
			field := Field{Type: a["type"], Name: a["name"], Value: a["value"]}
			if tag[1] == "button" {
				f.Buttons = append(f.Buttons, field)
			} else {
				f.Fields = append(f.Fields, field)
			}
		}
		all = append(all, f)
	}
	return all
}

func attrs(tag string) map[string]string {
	m := make(map[string]string)
	for _, a := range attrTag.FindAllStringSubmatch(tag, -1) {
		m[a[1]] = html.UnescapeString(a[2])
	}
	return m
}
