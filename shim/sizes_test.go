package shim_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestPagesStaySmall: with a thousand servers and many connected apps, no page of
// the owner is larger than 200 kB, or goes through all of them. How long each takes
// is logged, and how many times as long as with ten; the aim is twice.
func TestPagesStaySmall(t *testing.T) {
	testenv.Slow(t)
	const servers, apps, most, times, slower = 1000, 100_000, 200_000, 5, 10
	p := start(t)
	_, mcpURL, _ := p.connect()
	slug := slugOf(mcpURL)
	few := make(map[string]time.Duration)
	measure := func(when string) {
		b := p.owner()
		for _, path := range []string{
			"/", "/?page=2", "/?q=server", "/servers/add", "/servers/deleted", "/servers/" + slug, "/servers/" + slug + "/apps", "/servers/" + slug + "/apps?page=5000",
			"/servers/" + slug + "/connect", "/servers/" + slug + "/connect/cursor", "/servers/" + slug + "/delete", "/activity", "/tunnel", "/check", "/settings",
		} {
			var page *shimtest.Page
			best := time.Duration(math.MaxInt64) // of some, for what else the computer does
			for range times {
				begin := time.Now()
				page = b.Open(path)
				best = min(best, time.Since(begin))
			}
			if page.Status != 200 || len(page.Body) > most {
				t.Errorf("%s: %s = %d with %d bytes, want at most %d", when, path, page.Status, len(page.Body), most)
			}
			if few[path] == 0 {
				few[path] = best
			}
			ratio := float64(best) / float64(few[path])
			t.Logf("%s: %-46s %7d bytes %8.1f ms %6.1f times", when, path, len(page.Body), float64(best.Microseconds())/1000, ratio)
			if ratio > slower {
				t.Errorf("%s: %s takes %.0f times as long as with ten", when, path, ratio)
			}
		}
	}
	for i := range 9 {
		p.add(fmt.Sprintf("http://127.0.0.1:1/few%d", i), map[string]any{"display_name": fmt.Sprintf("Few %d", i)})
	}
	p = p.fillTo(10)
	measure("10 and 10")
	if err := p.shim.AddServers(servers-10, func(i int) endpoint.Endpoint {
		return endpoint.Endpoint{Slug: endpoint.NewSlug(), BaseURL: fmt.Sprintf("https://server%d.example.com/mcp", i), Name: fmt.Sprintf("A server with an ordinary name %d", i), Header: endpoint.DefaultHeader}
	}); err != nil {
		t.Fatal(err)
	}
	p = p.fillMore(apps)
	measure("1,000 and 100,000")
}
