package shim_test

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// upload sends a file with the form on the settings page, as a browser does.
func upload(t *testing.T, b *shimtest.Browser, file string) *shimtest.Page {
	t.Helper()
	form := b.Form(b.Open("/settings"), "/settings/import")
	req := b.FormRequest(form, nil)
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, f := range form.Fields {
		if f.Type == "hidden" {
			w.WriteField(f.Name, f.Value)
		}
	}
	part, err := w.CreateFormFile("file", "servers.json")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(part, file)
	w.Close()
	req.Body, req.ContentLength = io.NopCloser(&body), int64(body.Len())
	req.Header.Set("Content-Type", w.FormDataContentType())
	return b.Do(req)
}

// TestExportImport moves endpoints from one installation to another: they keep
// their addresses, and no key is included.
func TestExportImport(t *testing.T) {
	from, to := start(t), start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	const secret = "vendor=sk-in-the-query"
	slug, _ := from.add(up.URL+"?"+secret, map[string]any{"api_key": up.Key(), "display_name": "Weather <1>"})
	file := from.owner().Open("/settings/export")
	if got := file.Header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment") {
		t.Errorf("Content-Disposition: %q", got)
	}
	for _, s := range []string{up.Key(), "sk-in-the-query"} {
		if strings.Contains(file.Body, s) {
			t.Errorf("the file has %q in it:\n%s", s, file.Body)
		}
	}

	b := to.owner()
	preview := upload(t, b, file.Body)
	if preview.Status != http.StatusOK || !strings.Contains(preview.Body, "Weather &lt;1&gt;") || !strings.Contains(preview.Body, web.Text("import.query")) {
		t.Fatalf("preview = %d\n%s", preview.Status, preview.Body)
	}
	if got := to.slugs(); len(got) != 0 {
		t.Fatalf("looking into the file added %v", got)
	}
	page := b.Submit(b.Form(preview, "/settings/import"), map[string]string{"confirm": "1"})
	if page.Status != http.StatusOK || page.URL.Path != "/" {
		t.Errorf("import = %d at %s", page.Status, page.URL)
	}
	got := to.slugs()
	if len(got) != 1 || got[0]["slug"] != slug || got[0]["upstream_url"] != up.URL {
		t.Fatalf("imported %v", got)
	}
	waitFor(t, "the server to be asked", func() bool { return to.stateOf(slug) == "key needed" })
	// A client that knew the address can use it again.
	c := to.client(to.origin + "/" + slug + "/mcp")
	c.Connect(to.browser(), up.Key())

	// Importing the same file again adds nothing and changes nothing.
	to.api("PATCH", "/api/slugs/"+slug, map[string]any{"display_name": "Mine"})
	again := upload(t, b, file.Body)
	if !strings.Contains(again.Body, web.Text("import.none")) || strings.Contains(again.Body, `action="/settings/import"`) {
		t.Errorf("the same file again:\n%s", again.Body)
	}
	var raw map[string]any
	if err := json.Unmarshal([]byte(file.Body), &raw); err != nil {
		t.Fatal(err)
	}
	status, out := to.api("POST", "/api/import", raw)
	if skipped := out["skipped"].([]any); status != http.StatusOK || len(skipped) != 1 || len(out["added"].([]any)) != 0 {
		t.Errorf("POST /api/import = %d %v", status, out)
	}
	if got := to.slugs(); len(got) != 1 || got[0]["display_name"] != "Mine" {
		t.Errorf("after importing again: %v", got)
	}
}

// slugs lists the endpoints.
func (p *program) slugs() []map[string]any {
	p.t.Helper()
	_, out := p.api("GET", "/api/slugs", nil)
	var all []map[string]any
	for _, o := range out["slugs"].([]any) {
		all = append(all, o.(map[string]any))
	}
	return all
}

// TestImportRefuses: an incomplete file changes nothing.
func TestImportRefuses(t *testing.T) {
	p := start(t)
	b := p.owner()
	good := `{"slug":"k3v9x2m7q4ab","display_name":"A","upstream_url":"https://a.example/mcp"}`
	for _, tt := range []struct{ name, file, says string }{
		{"no file", "", endpoint.TextNotExported},
		{"something else", "<html>", endpoint.TextNotExported},
		{"one bad entry", `{"format":"key2oauth endpoints 1","endpoints":[` + good + `,{"slug":"x"}]}`, "Server 2"},
		{"too large", strings.Repeat(" ", endpoint.MaxExport+10), endpoint.TextExportLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if page := upload(t, b, tt.file); page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, tt.says) {
				t.Errorf("got %d, want 422 and words about %q", page.Status, tt.says)
			}
			if got := p.slugs(); len(got) != 0 {
				t.Errorf("added %v", got)
			}
		})
	}
	if page := upload(t, b, strings.Repeat(" ", 5*endpoint.MaxExport)); page.Status/100 != 4 {
		t.Errorf("a body past the limit = %d", page.Status)
	}
	if status, _ := p.api("POST", "/api/import", map[string]any{"format": "x"}); status != http.StatusBadRequest {
		t.Errorf("POST /api/import = %d, want 400", status)
	}
}
