package shim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// TestPagesStaySmall: with a thousand servers and many connected apps, no page of
// the owner is larger than 200 kB. How long each takes is logged.
func TestPagesStaySmall(t *testing.T) {
	testenv.Slow(t)
	const servers, apps, most = 1000, 100_000, 200_000
	p := start(t)
	_, mcpURL, _ := p.connect()
	slug := slugOf(mcpURL)
	measure := func(when string) {
		b := p.owner()
		for _, path := range []string{
			"/", "/?page=2", "/?q=server", "/servers/add", "/servers/deleted", "/servers/" + slug, "/servers/" + slug + "/apps", "/servers/" + slug + "/apps?page=5000",
			"/servers/" + slug + "/connect", "/servers/" + slug + "/connect/cursor", "/servers/" + slug + "/delete", "/activity", "/tunnel", "/check", "/settings",
		} {
			begin := time.Now()
			page := b.Open(path)
			took := time.Since(begin)
			if page.Status != 200 || len(page.Body) > most {
				t.Errorf("%s: %s = %d with %d bytes, want at most %d", when, path, page.Status, len(page.Body), most)
			}
			t.Logf("%s: %-46s %7d bytes %8.1f ms", when, path, len(page.Body), float64(took.Microseconds())/1000)
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
