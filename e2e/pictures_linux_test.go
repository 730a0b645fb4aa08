package e2e

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/css"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/shim/shimtest/catalogue"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

const (
	pictureFont = "Inter"
	pictureSize = 150_000 // bytes at most, for readers on slow lines
)

// fontConfig makes Inter the font of the desktop, for Chromium alone.
const fontConfig = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <cachedir>%s</cachedir>
  <match target="pattern">
    <test name="family" qual="any"><string>system-ui</string></test>
    <edit name="family" mode="prepend" binding="strong"><string>` + pictureFont + `</string></edit>
  </match>
  <match target="pattern">
    <test name="family" qual="any"><string>sans-serif</string></test>
    <edit name="family" mode="prepend" binding="strong"><string>` + pictureFont + `</string></edit>
  </match>
</fontconfig>
`

// TestPictures draws the pictures of README.md and docs, light and dark. They
// show the built program with servers in real states. To replace those in
// .github:
//
//	K2O_PICTURES=1 CI=true go test ./e2e -run TestPictures
func TestPictures(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	s := newScene(t)
	a, b := s.app, s.browser
	b.signIn(a)
	b.run(click(`form[action="/steps/hide"] button`))
	b.eventually("the first steps are hidden", func() bool {
		return b.is(`document.readyState === "complete" && !document.querySelector("form[action='/steps/hide']")`)
	})
	b.run(chromedp.Navigate(a.origin + "/servers/" + s.home.Slug))
	b.waitFor("Claude")
	s.usesFont()
	s.draw("server", 1040, `main [data-part=keys]`, 10)

	b.run(chromedp.Navigate(a.origin + "/servers/" + s.home.Slug + "/connect/claude-code"))
	s.draw("connect", 1040, `main > *`, 24)

	s.trouble()
	b.run(chromedp.Navigate(a.origin + "/"))
	s.draw("home", 1040, `main > *`, 24)

	b.run(chromedp.Navigate(a.origin+"/check"), click(`form[action="/check"] button`))
	b.waitFor(catalogue.NextRejected)
	b.eventually("the check is over", func() bool { return b.is(`!document.querySelector("form[action='/check'] button").disabled`) })
	b.run(chromedp.Navigate(a.origin + "/check")) // what was open while it ran is folded
	s.draw("health", 1040, `main details[data-fold=public]`, 8)

	c := s.client("ChatGPT", "https://chatgpt.com/connector_platform_oauth_redirect", s.home.MCP, true)
	b.run(chromedp.Navigate(continueLink(t, a, c.AuthorizeURL())), chromedp.WaitVisible(approveButton+`:not([aria-disabled=true])`))
	s.draw("consent", 720, `main > *`, 24)
	b.noPolicyStopped()
}

// A scene is the program with servers that apps use.
type scene struct {
	t          *testing.T
	app        *app
	browser    *chromium
	hosts      *shimtest.Documents
	home, news endpointInfo
}

// The servers of a scene. Nothing takes these keys but the servers of this test.
const (
	homeURL, newsURL, wikiURL = "https://home.example.com/api/mcp", "https://n8n.example.com/mcp/news", "https://wiki.example.com/mcp"

	demoKey, demoOldKey = "demo-key-of-a-picture", "demo-key-from-last-year"
)

func newScene(t *testing.T) *scene {
	t.Helper()
	hosts := shimtest.NewDocuments(t)
	proxy := newNamesProxy(t, hosts.Addr)
	hosts.Handle(homeURL, demoServer("Home Assistant", demoKey, "HassTurnOn", "HassTurnOff", "HassLightSet", "GetLiveContext"))
	hosts.Handle(newsURL, demoServer("n8n", demoOldKey, "send_newsletter"))
	hosts.Handle(wikiURL, demoServer("Wiki", demoKey, "search"))

	w := newWorld(t, tunneltest.Config{})
	a := &app{exe: built(t, buildForTests), world: w, env: []string{
		"KEY2OAUTH_TEST_EDGE=" + w.Addr(), "KEY2OAUTH_TEST_EDGE_CA=" + w.ca, "NGROK_AUTHTOKEN=" + authtoken, "KEY2OAUTH_TUNNEL=ngrok",
		"SSL_CERT_FILE=" + hosts.CertFile(), "HTTPS_PROXY=" + proxy, "https_proxy=" + proxy, "NO_PROXY=127.0.0.1",
	}}
	if os.Getenv("K2O_PICTURES") != "" {
		a.addr = "127.0.0.1:7450" // as readers will see it
	}
	startWith(t, a)
	a.waitOnline()
	a.api("PATCH", "/api/settings", map[string]any{"use_proxy": true}, nil)

	s := &scene{t: t, app: a, hosts: hosts}
	s.news = a.addEndpoint("n8n", newsURL, demoOldKey)
	s.home = a.addEndpoint("Home Assistant", homeURL, demoKey)
	owner := shimtest.NewBrowser(t, a.origin)
	owner.SignIn(a.ownerLink())
	s.connect(owner, s.client("Claude", "https://claude.ai/api/mcp/auth_callback", s.news.MCP, true), s.news, "send_newsletter")
	s.connect(owner, s.client("Visual Studio Code", "http://127.0.0.1:33418/", s.home.Local, false), s.home, "HassTurnOn")
	s.connect(owner, s.client("Claude", "https://claude.ai/api/mcp/auth_callback", s.home.MCP, true), s.home, "GetLiveContext")
	s.browser = startChromium(t, nil, chromedp.Env("FONTCONFIG_FILE="+fontsOf(t)), chromedp.Flag("disable-lcd-text", true), chromedp.Flag("hide-scrollbars", true))
	return s
}

// trouble makes one server reject its key, and adds one without a key.
func (s *scene) trouble() {
	s.t.Helper()
	wiki := s.app.addEndpoint("Team wiki", wikiURL, "")
	s.hosts.Handle(newsURL, demoServer("n8n", demoKey, "send_newsletter"))
	for slug, want := range map[string]string{s.news.Slug: api.EndpointRejected, wiki.Slug: api.EndpointKeyNeeded, s.home.Slug: api.EndpointOK} {
		s.browser.run(chromedp.Navigate(s.app.origin + "/servers/" + slug)) // asks the server how it is
		eventually(s.t, patience, "the server is "+want, func() bool {
			var e struct{ State string }
			s.app.api("GET", "/api/slugs/"+slug, nil, &e)
			return e.State == want
		})
	}
}

// client registers an app, on this computer or on the internet.
func (s *scene) client(name, redirect, resource string, far bool) *shimtest.OAuthClient {
	s.t.Helper()
	a := *s.app
	if !far {
		a.world = nil
	}
	c := oauthClient(s.t, &a, redirect, resource)
	c.Register(name)
	return c
}

// connect approves an app with the saved key, and calls a tool with it.
func (s *scene) connect(owner *shimtest.Browser, c *shimtest.OAuthClient, to endpointInfo, tool string) {
	s.t.Helper()
	authorize, via := c.AuthorizeURL(), fresh
	if c.Issuer != s.app.origin {
		authorize, via = continueLink(s.t, s.app, authorize), s.app.http()
	}
	var e struct{ Credentials []struct{ ID string } }
	s.app.api("GET", "/api/slugs/"+to.Slug, nil, &e)
	p := owner.Consent(authorize, map[string]string{"action": "approve", "credential": e.Credentials[0].ID})
	if p.Location == "" {
		s.t.Fatalf("approving ended at %s with %d and the words %q", p.URL.Path, p.Status, problemText(p.Body))
	}
	if status, body := c.Redeem(c.CodeFrom(p.Location)); status != http.StatusOK {
		s.t.Fatalf("POST /token = %d %v", status, body)
	}
	if got, err := callTool(via, c.Resource, c.Access, tool, map[string]string{}); err != nil || got.Status != http.StatusOK {
		s.t.Fatalf("calling %s = %+v, %v", tool, got, err)
	}
}

// demoServer is an MCP server that takes one key.
func demoServer(name, key string, tools ...string) http.Handler {
	server := mcp.NewServer(&mcp.Implementation{Name: name, Version: "1"}, nil)
	for _, tool := range tools {
		mcp.AddTool(server, &mcp.Tool{Name: tool}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "done"}}}, nil, nil
		})
	}
	h := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true, DisableLocalhostProtection: true})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+key {
			http.Error(w, "no such key", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// fontsOf writes the font configuration.
func fontsOf(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(dir, "fonts.conf")
	if err := os.WriteFile(name, fmt.Appendf(nil, fontConfig, filepath.Join(dir, "cache")), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// newNamesProxy starts an HTTP proxy that leads to addr, no matter which name it is
// asked for.
func newNamesProxy(t *testing.T, addr string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
			return
		}
		to, err := net.Dial("tcp", addr)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer to.Close()
		from, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer from.Close()
		io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { io.Copy(to, from); to.Close() }()
		io.Copy(from, to)
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv.URL
}

// usesFont checks which font the title of the page is drawn with.
func (s *scene) usesFont() {
	s.t.Helper()
	fonts := value(s.browser, func(ctx context.Context, t *chromedp.Target) ([]*css.PlatformFontUsage, error) {
		if _, err := cdp.Call(ctx, t, dom.Enable, dom.EnableParams{}); err != nil {
			return nil, err
		}
		if _, err := cdp.Call(ctx, t, css.Enable, cdp.Empty{}); err != nil {
			return nil, err
		}
		document, err := cdp.Call(ctx, t, dom.GetDocument, dom.GetDocumentParams{})
		if err != nil {
			return nil, err
		}
		title, err := cdp.Call(ctx, t, dom.QuerySelector, dom.QuerySelectorParams{NodeID: document.Root.NodeID, Selector: "h1"})
		if err != nil {
			return nil, err
		}
		used, err := cdp.Call(ctx, t, css.GetPlatformFontsForNode, css.GetPlatformFontsForNodeParams{NodeID: title.NodeID})
		return used.Fonts, err
	})
	if len(fonts) != 1 || !strings.HasPrefix(fonts[0].FamilyName, pictureFont) {
		for _, f := range fonts {
			s.t.Logf("%g glyphs of %s", f.GlyphCount, f.FamilyName)
		}
		s.t.Errorf("the title is drawn with %d fonts, want %s alone", len(fonts), pictureFont)
	}
}

// draw writes what a window shows, light and dark, at two pixels for each of CSS.
// The picture ends so many pixels below the elements of a selector.
func (s *scene) draw(name string, width int64, selector string, below float64) {
	s.t.Helper()
	b, dir := s.browser, shots
	if os.Getenv("K2O_PICTURES") != "" {
		dir = filepath.Join("..", ".github")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	for _, scheme := range []string{"light", "dark"} {
		b.run(chromedp.EmulateViewport(width, 1000, chromedp.EmulateScale(2)), command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		}))
		b.eventually(name+" is laid out, "+scheme, func() bool {
			return b.is(fmt.Sprintf(laidOut, width, scheme) + ` && devicePixelRatio === 2`)
		})
		b.run(chromedp.Evaluate[chromedp.Void](`document.activeElement.blur(); scrollTo(0, 0)`))
		end := value(b, chromedp.Evaluate[float64](`Math.ceil(Math.max(...[...document.querySelectorAll("`+selector+`")].map(e => e.getBoundingClientRect().bottom)))`))
		clip := &page.Viewport{Width: float64(width), Height: min(end+below, 1000), Scale: 1}
		taken := value(b, func(ctx context.Context, t *chromedp.Target) (page.CaptureScreenshotResult, error) {
			return cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{Clip: clip})
		})
		img, err := png.Decode(bytes.NewReader(taken.Data))
		if err != nil {
			s.t.Fatal(err)
		}
		if got, want := img.Bounds().Dx(), int(2*width); got != want {
			s.t.Errorf("the picture %s is %d pixels wide, want %d", name, got, want)
		}
		small := fewColors(s.t, img)
		if len(small) > pictureSize {
			s.t.Errorf("the picture %s-%s has %d bytes, want at most %d", name, scheme, len(small), pictureSize)
		}
		if err := os.WriteFile(filepath.Join(dir, name+"-"+scheme+".png"), small, 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	b.run(chromedp.ResetViewport(), command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{}))
}

// fewColors encodes a picture with its 256 most frequent colors. Each other
// color, which only edges of letters have, becomes the nearest of them.
func fewColors(t *testing.T, img image.Image) []byte {
	t.Helper()
	count := make(map[color.RGBA]int)
	r := img.Bounds()
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(img.At(x, y)).(color.RGBA) }
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	all := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(count[b]-count[a], cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	var palette color.Palette
	for _, c := range all[:min(256, len(all))] {
		palette = append(palette, c)
	}
	nearest := make(map[color.RGBA]uint8)
	out := image.NewPaletted(r, palette)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			c := at(x, y)
			i, ok := nearest[c]
			if !ok {
				i = uint8(palette.Index(c))
				nearest[c] = i
			}
			out.SetColorIndex(x, y, i)
		}
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, out); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
