package shim_test

import (
	"cmp"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// The folder that an earlier version made, and the addresses stored in it:
// tokens are bound to the program's address, keys to those of the servers.
const (
	oldFolder  = "testdata/folder-4087857"
	oldAddr    = "127.0.0.1:24087"
	oldWeather = "127.0.0.1:24088" // "Authorization: Bearer" and one of two keys
	oldNotes   = "127.0.0.1:24089" // X-Api-Key, and a query in the address
)

// An oldGrant is what one app got from the earlier version.
type oldGrant struct {
	Endpoint string   `json:"endpoint"`
	ClientID string   `json:"client_id"`
	Key      string   `json:"key"` // what the server must receive
	Access   []string `json:"access"`
	Refresh  string   `json:"refresh"`
}

// TestFolderOf4087857 opens a data folder that the program of commit 4087857
// made. Every token and key works, twice, and everything else is unchanged. No
// later version may change the folder to make this pass.
func TestFolderOf4087857(t *testing.T) {
	needAddrs(t, oldAddr, oldWeather, oldNotes)
	dir := copyFolder(t)
	if got, err := shim.StoredAddr(dir); err != nil || got != oldAddr {
		t.Errorf("StoredAddr = %q, %v, want %q", got, err, oldAddr)
	}
	weather := shimtest.NewUpstream(t, shimtest.Options{Addr: oldWeather, Stateless: true, JSON: true})
	notes := shimtest.NewUpstream(t, shimtest.Options{Addr: oldNotes, Header: "X-Api-Key"})
	var grants []*oldGrant
	readOld(t, "tokens.json", &grants)

	p := startIn(t, dir, oldAddr)
	if want := strings.TrimSpace(string(must(os.ReadFile(filepath.Join(oldFolder, "data", "admin-token"))))); p.token != want {
		t.Error("the admin token has changed")
	}
	for path, file := range map[string]string{
		"/api/settings": "settings.json", "/api/slugs": "slugs.json", "/api/grants": "grants.json",
		"/api/activity": "activity.json", "/api/status": "status.json",
	} {
		var want any
		readOld(t, file, &want)
		status, got := p.api("GET", path, nil)
		if status != http.StatusOK {
			t.Fatalf("GET %s = %d", path, status)
		}
		checkHas(t, path, got, want)
	}
	for round := range 2 {
		for _, g := range grants {
			up := weather
			if g.Key == "sk-fixture-three-e04f52" || g.Key == "sk-fixture-four-91c6d8" {
				up = notes
			}
			up.SetKey(g.Key)
			for _, access := range g.Access {
				checkReaches(t, p, up, g, access)
			}
			c := shimtest.NewDocumentClient(t, p.origin, g.ClientID, "")
			status, answer := c.DoRefresh(g.Refresh)
			if status != http.StatusOK {
				t.Fatalf("start %d: the refresh token of %s = %d %v", round+1, g.ClientID, status, answer)
			}
			if answer["expires_in"] != 7200.0 {
				t.Errorf("a new access token lives %v seconds, want the 7200 of the settings", answer["expires_in"])
			}
			checkReaches(t, p, up, g, c.Access)
			g.Access, g.Refresh = append(g.Access, c.Access), c.Refresh
		}
		p = p.restart()
	}

	// The authtoken was kept when the tunnel was turned off.
	if status, answer := p.api("PUT", "/api/tunnel", map[string]any{"provider": "ngrok"}); status != http.StatusOK {
		t.Fatalf("PUT /api/tunnel = %d %v", status, answer)
	}
	wished := p.wire.wished()
	if w := wished[len(wished)-1]; w.Provider != api.TunnelNgrok || w.Authtoken.Reveal() != "2fixtureAuthtoken_notReal0000000000" {
		t.Errorf("the tunnel was requested with provider %q, or with a wrong authtoken", w.Provider)
	}
}

// checkReaches calls a server and checks what arrived there.
func checkReaches(t *testing.T, p *program, up *shimtest.Upstream, g *oldGrant, access string) {
	t.Helper()
	up.Reset()
	resp, body := p.post(g.Endpoint, access, initialize)
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "serverInfo") {
		t.Errorf("a call of %s = %d %s", g.ClientID, resp.StatusCode, body)
		return
	}
	r := up.Last()
	if key := cmp.Or(r.Header.Get("X-Api-Key"), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); key != g.Key {
		t.Errorf("the server did not receive the key %s", g.Key)
	}
	if want := map[bool]string{true: "team=fixture-secret-query"}[r.Host == oldNotes]; r.Query != want {
		t.Errorf("the server received the query %q, want %q", r.Query, want)
	}
}

// needAddrs fails the test if another program listens on an address that the
// fixture needs.
func needAddrs(t *testing.T, addrs ...string) {
	t.Helper()
	for _, addr := range addrs {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatalf("the tokens and keys in %s belong to fixed addresses, and another program uses one: %v", oldFolder, err)
		}
		ln.Close()
	}
}

// copyFolder copies the fixture with the file modes that the program sets.
func copyFolder(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(oldFolder, "data"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, e := range must(os.ReadDir(dir)) {
		if err := os.Chmod(filepath.Join(dir, e.Name()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func readOld(t *testing.T, name string, v any) {
	t.Helper()
	if err := json.Unmarshal(must(os.ReadFile(filepath.Join(oldFolder, name))), v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// checkHas checks that got has everything in want. Objects may have more
// members.
func checkHas(t *testing.T, where string, got, want any) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		got, _ := got.(map[string]any)
		for k, v := range want {
			checkHas(t, where+"."+k, got[k], v)
		}
	case []any:
		got, _ := got.([]any)
		if len(got) != len(want) {
			t.Errorf("%s has %d elements, want %d", where, len(got), len(want))
			return
		}
		for i, v := range want {
			checkHas(t, where+"[]", got[i], v)
		}
	default:
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", where, got, want)
		}
	}
}
