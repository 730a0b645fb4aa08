package shim_test

import (
	"fmt"
	"html"
	"math"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest/fill"
)

// fillTo restarts the program with copies of its only connected app, until
// there are n.
func (p *program) fillTo(n int) *program {
	p.t.Helper()
	p.stop()
	if err := fill.Grants(p.dir, n); err != nil {
		p.t.Fatal(err)
	}
	return p.restart()
}

// fillMore is fillTo for a program that has had that before.
func (p *program) fillMore(n int) *program {
	p.t.Helper()
	p.stop()
	if err := fill.More(p.dir, n); err != nil {
		p.t.Fatal(err)
	}
	return p.restart()
}

func slugOf(mcpURL string) string { return strings.Split(mcpURL, "/")[3] }

var appRow = regexp.MustCompile(`href="/grants/([^"/]+)/revoke"`)

// apps lists the apps of a page in their order.
func appsOn(body string) (ids []string) {
	for _, m := range appRow.FindAllStringSubmatch(body, -1) {
		ids = append(ids, m[1])
	}
	return ids
}

func linkOf(body, rel string) string {
	m := regexp.MustCompile(`rel="` + rel + `" href="([^"]+)"`).FindStringSubmatch(body)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

// TestAppsInPages: of many connected apps the server's page and the tray show the
// first page, and links lead to the others without JavaScript. No app is left
// out and none is shown twice.
func TestAppsInPages(t *testing.T) {
	p := start(t)
	_, mcpURL, _ := p.connect()
	slug := strings.Split(mcpURL, "/")[3]
	p = p.fillTo(45)
	owner := p.owner()
	apps := "/servers/" + slug + "/apps"

	home := owner.Open("/servers/" + slug)
	if n := len(appsOn(home.Body)); n != 20 {
		t.Errorf("the server's page shows %d apps, want 20", n)
	}
	if all := web.Text("card.grants.all", "45"); !strings.Contains(home.Body, `href="`+apps+`" aria-label="`) || !strings.Contains(home.Body, all+"</a>") {
		t.Errorf("the server's page has no link %q", all)
	}

	var seen []string
	for next, page := apps, 1; next != ""; page++ {
		got := owner.Open(next)
		ids := appsOn(got.Body)
		want, first := 20, (page-1)*20+1
		if page == 3 {
			want = 5
		}
		if len(ids) != want || !strings.Contains(got.Body, web.Text("apps.shown", fmt.Sprint(first), fmt.Sprint(first+want-1), "45")) {
			t.Errorf("page %d shows %d apps, want %d", page, len(ids), want)
		}
		if page == 1 && !slices.Equal(ids, appsOn(home.Body)) {
			t.Error("the first page and the home page show other apps")
		}
		if back := linkOf(got.Body, "prev"); page > 1 && back != fmt.Sprintf("%s?page=%d", apps, page-1) || page == 1 && back != "" {
			t.Errorf("page %d leads back to %q", page, back)
		}
		seen = append(seen, ids...)
		if next = linkOf(got.Body, "next"); page > 3 {
			t.Fatal("the pages have no end")
		}
	}
	sorted := slices.Clone(seen)
	slices.Sort(sorted)
	if n := len(slices.Compact(sorted)); n != 45 || len(seen) != 45 {
		t.Errorf("the pages show %d apps, %d different ones, want 45", len(seen), n)
	}
	for query, want := range map[string][]string{
		"?page=0": seen[:20], "?page=-1": seen[:20], "?page=x": seen[:20], "?page=3": seen[40:], "?page=4": seen[40:], "?page=99999999999999999999": seen[:20], "?page=4611686018427387904": seen[40:],
	} {
		if got := appsOn(owner.Open(apps + query).Body); !slices.Equal(got, want) {
			t.Errorf("%s shows %d apps, %v", query, len(got), got)
		}
	}
	if got := owner.Open("/servers/aaaaaaaaaaaa/apps"); got.Status != http.StatusNotFound {
		t.Errorf("the apps of no server = %d, want 404", got.Status)
	}

	oldest := slices.Clone(seen)
	slices.Reverse(oldest)
	for query, want := range map[string][]string{
		"": oldest, "?limit=20": oldest[:20], "?limit=20&offset=40": oldest[40:], "?offset=45": {}, "?offset=99": {}, "?slug=" + slug + "&limit=1": oldest[:1], "?slug=aaaaaaaaaaaa": {},
	} {
		_, out := p.api("GET", "/api/grants"+query, nil)
		got := []string{}
		for _, g := range out["grants"].([]any) {
			got = append(got, g.(map[string]any)["id"].(string))
		}
		if !slices.Equal(got, want) {
			t.Errorf("GET /api/grants%s lists %d apps, want %d, the oldest first", query, len(got), len(want))
		}
	}
	for _, query := range []string{"?limit=x", "?limit=-1", "?offset=-1", "?offset=1.5"} {
		if status, _ := p.api("GET", "/api/grants"+query, nil); status != http.StatusBadRequest {
			t.Errorf("GET /api/grants%s = %d, want 400", query, status)
		}
	}
	o, err := p.shim.Overview()
	if err != nil || len(o.Clients) != 20 || o.MoreClients != 25 {
		t.Errorf("the tray gets %d apps and %d more, %v, want 20 and 25", len(o.Clients), o.MoreClients, err)
	}
}

// TestAppsCostNothing: what the home page and the tray need does not grow with
// the number of connected apps.
func TestAppsCostNothing(t *testing.T) {
	p := start(t)
	p.connect()
	cost := func(p *program) uint64 {
		least := uint64(math.MaxUint64) // what the program does beside it counts too
		for range 20 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := p.shim.Overview(); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			least = min(least, after.TotalAlloc-before.TotalAlloc)
		}
		return least
	}
	p = p.fillTo(100)
	few := cost(p)
	p.stop()
	if err := fill.More(p.dir, 500); err != nil {
		t.Fatal(err)
	}
	p = p.restart()
	if many := cost(p); many > 2*few {
		t.Errorf("with 100 apps it takes %d bytes, with 500 %d", few, many)
	}
}
