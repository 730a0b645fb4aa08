package shim_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/parcel"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

const (
	pathMove       = "/settings/move"
	movePassphrase = "correct horse battery staple"
)

// moveOwner returns a browser whose owner has just confirmed that they want to
// move.
func (p *program) moveOwner() *shimtest.Browser {
	p.t.Helper()
	b := p.browser()
	if page := b.SignIn(p.shim.OwnerLink(pathMove)); page.Status != http.StatusOK || page.URL.Path != pathMove {
		p.t.Fatalf("owner's link ended at %s with %d", page.URL, page.Status)
	}
	return b
}

// moveOut returns the file of everything.
func (p *program) moveOut() []byte {
	p.t.Helper()
	b := p.moveOwner()
	page := b.Submit(b.Form(b.Open(pathMove), pathMove+"/out"), map[string]string{"passphrase": movePassphrase, "again": movePassphrase})
	if page.Status != http.StatusOK || !strings.HasPrefix(page.Header.Get("Content-Disposition"), "attachment") {
		p.t.Fatalf("the file: %d %v", page.Status, page.Header)
	}
	return []byte(page.Body)
}

// sendFile sends a file as the form of the page does.
func (p *program) sendFile(b *shimtest.Browser, file []byte, passphrase string) *shimtest.Page {
	p.t.Helper()
	form := b.Form(b.Open(pathMove), pathMove+"/in")
	req := b.FormRequest(form, nil)
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, f := range form.Fields {
		if f.Type == "hidden" {
			w.WriteField(f.Name, f.Value)
		}
	}
	w.WriteField("file_passphrase", passphrase)
	part := must(w.CreateFormFile("file", "key2oauth.age"))
	part.Write(file)
	w.Close()
	req.Body, req.ContentLength = io.NopCloser(&body), int64(body.Len())
	req.Header.Set("Content-Type", w.FormDataContentType())
	return b.Do(req)
}

// TestMove moves everything to another data folder: an app goes on there with
// the tokens that it has, and the key is not pasted again.
func TestMove(t *testing.T) {
	from := start(t)
	up, mcpURL, c := from.connect()
	saved := up.Key()
	from.add(up.URL+"?team=7", map[string]any{"display_name": "Saved", "api_key": saved})
	file := from.moveOut()
	access, refresh := c.Access, c.Refresh
	for _, s := range []string{saved, "Weather", refresh, movePassphrase} {
		if bytes.Contains(file, []byte(s)) {
			t.Errorf("%q is in the file", s)
		}
	}
	before := from.slugs()
	from.stop()
	http.DefaultClient.CloseIdleConnections()

	to := startIn(t, t.TempDir(), from.addr)
	b := to.moveOwner()
	if page := to.sendFile(b, file, "correct horse battery stable"); page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, parcel.TextPassphrase) {
		t.Errorf("wrong passphrase: %d\n%s", page.Status, page.Body)
	}
	if page := to.sendFile(b, file[:len(file)-7], movePassphrase); page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, parcel.TextTorn) {
		t.Errorf("cut file: %d\n%s", page.Status, page.Body)
	}
	if page := to.sendFile(b, make([]byte, parcel.MaxSize+(2<<20)), movePassphrase); page.Status != http.StatusRequestEntityTooLarge || !strings.Contains(page.Body, web.TextFormLarge) {
		t.Errorf("a huge file: %d\n%s", page.Status, page.Body)
	}
	if page := to.sendFile(b, nil, movePassphrase); page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, web.TextNoFile) {
		t.Errorf("no file: %d\n%s", page.Status, page.Body)
	}
	preview := to.sendFile(b, file, movePassphrase)
	if preview.Status != http.StatusOK || !strings.Contains(preview.Body, "Weather") || !strings.Contains(preview.Body, "Saved") {
		t.Fatalf("preview: %d\n%s", preview.Status, preview.Body)
	}
	if strings.Contains(preview.Body, saved) {
		t.Error("the preview shows a key")
	}
	if got := to.slugs(); len(got) != 0 {
		t.Fatalf("looking into the file added %v", got)
	}
	take := b.Form(preview, pathMove+"/take")
	if page := b.Submit(take, nil); page.Status != http.StatusOK || page.URL.Path != "/" {
		t.Fatalf("taking it in: %d at %s\n%s", page.Status, page.URL, page.Body)
	}
	if page := b.Submit(take, nil); page.Status == http.StatusOK {
		t.Error("the same file was taken in twice with one confirmation")
	}

	after := to.slugs()
	if len(after) != len(before) {
		t.Fatalf("moved %v, want %v", after, before)
	}
	for i := range after {
		for _, field := range []string{"slug", "upstream_url", "display_name", "state", "auth_header_name"} {
			if after[i][field] != before[i][field] {
				t.Errorf("%s of server %d = %v, want %v", field, i, after[i][field], before[i][field])
			}
		}
	}
	if resp, body := to.post(mcpURL, access, initialize); resp.StatusCode != http.StatusOK {
		t.Errorf("a call with the old access token: %d %s", resp.StatusCode, body)
	}
	if status, answer := c.DoRefresh(refresh); status != http.StatusOK {
		t.Fatalf("the old refresh token: %d %v", status, answer)
	}
	to = to.restart()
	if resp, body := to.post(mcpURL, c.Access, initialize); resp.StatusCode != http.StatusOK {
		t.Errorf("a call after a restart: %d %s", resp.StatusCode, body)
	}
	if status, answer := c.DoRefresh(c.Refresh); status != http.StatusOK {
		t.Errorf("a refresh after a restart: %d %v", status, answer)
	}
	for _, log := range []string{from.log.String(), to.log.String()} {
		if strings.Contains(log, movePassphrase) || strings.Contains(log, "stable") {
			t.Error("a passphrase is in the log")
		}
	}

	// What is here stays as it is.
	preview = to.sendFile(to.moveOwner(), file, movePassphrase)
	if !strings.Contains(preview.Body, web.Text("import.none")) || strings.Contains(preview.Body, pathMove+"/take") {
		t.Errorf("the same file again would bring something:\n%s", preview.Body)
	}
}

// TestMoveTakesALink: a session alone neither takes keys out nor lets apps in,
// and a link to another page does not confirm it.
func TestMoveTakesALink(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	p.add(up.URL, map[string]any{"api_key": up.Key()})
	confirmed := p.moveOwner()
	form := confirmed.Form(confirmed.Open(pathMove), pathMove+"/out")
	for _, path := range []string{"/", "/settings", "/settings/delete"} {
		b := p.browser()
		b.SignIn(p.shim.OwnerLink(path))
		page := b.Open(pathMove)
		if page.Status != http.StatusOK || !strings.Contains(page.Body, web.Text("move.sure")) || strings.Contains(page.Body, pathMove+"/out") || strings.Contains(page.Body, pathMove+"/in") {
			t.Errorf("after a link to %s: %d\n%s", path, page.Status, page.Body)
		}
		if page := b.Submit(form, map[string]string{"passphrase": movePassphrase, "again": movePassphrase}); page.Status != http.StatusForbidden {
			t.Errorf("after a link to %s, the form was answered with %d", path, page.Status)
		}
	}
	if o, err := p.shim.Overview(); err != nil || o.Confirm != "" {
		t.Errorf("the desktop offers a link to %q (%v), and no page asked for one", o.Confirm, err)
	}
	session := p.owner()
	asked := session.Submit(session.Form(session.Open(pathMove), pathMove+"/ask"), nil)
	if !strings.Contains(asked.Body, web.Text("move.sure.asked")) || strings.Contains(asked.Body, pathMove+"/out") {
		t.Errorf("after the page asked: %d\n%s", asked.Status, asked.Body)
	}
	if o, err := p.shim.Overview(); err != nil || o.Confirm != pathMove {
		t.Errorf("the desktop offers a link to %q (%v), want %q", o.Confirm, err, pathMove)
	}
	p.moveOwner() // the click
	if o, err := p.shim.Overview(); err != nil || o.Confirm != "" {
		t.Errorf("after the click, the desktop offers a link to %q (%v)", o.Confirm, err)
	}
	if page := session.Open(pathMove); strings.Contains(page.Body, pathMove+"/out") {
		t.Error("the click confirmed another session than that of the link")
	}
	again := confirmed.Form(confirmed.Open(pathMove), pathMove+"/out")
	if page := confirmed.Submit(again, map[string]string{"passphrase": movePassphrase, "again": movePassphrase + "!"}); page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, web.TextMoveDiffer) {
		t.Errorf("two passphrases: %d\n%s", page.Status, page.Body)
	}
	if page := confirmed.Submit(again, map[string]string{"passphrase": "short", "again": "short"}); page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, parcel.TextShort) {
		t.Errorf("a short passphrase: %d\n%s", page.Status, page.Body)
	}
	if page := confirmed.Submit(again, map[string]string{"passphrase": movePassphrase, "again": movePassphrase}); page.Status != http.StatusOK {
		t.Errorf("the file: %d", page.Status)
	}
	if page := confirmed.Submit(again, map[string]string{"passphrase": movePassphrase, "again": movePassphrase}); page.Status != http.StatusForbidden {
		t.Errorf("a second file with one confirmation: %d", page.Status)
	}
}

// TestMoveAcross moves an app of the internet: it goes on at the same public
// address, once the owner turns that on at the other computer. Nothing is turned
// on there without that, and where a tunnel was ever turned on, it stays.
func TestMoveAcross(t *testing.T) {
	from := startPublic(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, mcpURL := from.add(up.URL, nil)
	c := from.farClient("https://claude.ai/api/mcp/auth_callback", mcpURL)
	consent := from.browser()
	page := consent.Open(continueLink(t, from, from.farBrowser(homeAddr).Open(c.AuthorizeURL())))
	done := consent.Submit(consent.Form(page, page.URL.Path), map[string]string{"api_key": up.Key(), "action": "approve"})
	if status, answer := c.Redeem(c.CodeFrom(done.Location)); status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, answer)
	}
	file := from.moveOut()
	from.stop()

	take := func(to *program) {
		t.Helper()
		b := to.moveOwner()
		preview := to.sendFile(b, file, movePassphrase)
		if page := b.Submit(b.Form(preview, pathMove+"/take"), nil); page.Status != http.StatusOK {
			t.Fatalf("taking it in: %d\n%s", page.Status, page.Body)
		}
	}
	to := start(t)
	take(to)
	if n := len(to.wire.wished()); n != 0 {
		t.Errorf("%d tunnels were opened before the owner turned one on", n)
	}
	b := to.owner()
	b.Submit(b.Form(b.Open("/tunnel"), "/tunnel/on"), nil)
	to.waitOnline()
	if w := to.wire.wished(); len(w) == 0 || w[0].Known != publicOrigin || w[0].Authtoken.Reveal() != "canary-authtoken" {
		t.Errorf("the tunnel that was opened: %+v", w)
	}
	c.Via(to.far(farAddr).Client())
	if resp, body := to.farPost(slug, c.Access, initialize); resp.StatusCode != http.StatusOK {
		t.Errorf("a call with the old access token: %d %s", resp.StatusCode, body)
	}
	if status, answer := c.DoRefresh(c.Refresh); status != http.StatusOK {
		t.Errorf("the old refresh token: %d %v", status, answer)
	}

	own := start(t)
	if status, answer := own.api("PUT", "/api/tunnel", map[string]any{"provider": "external", "url": "https://mine.example.com"}); status != http.StatusOK {
		t.Fatalf("PUT /api/tunnel = %d %v", status, answer)
	}
	take(own)
	if origin := own.shim.Status().PublicOrigin; origin == nil || *origin != "https://mine.example.com" {
		t.Errorf("the public address of the other computer took the place of ours: %v", origin)
	}
}
