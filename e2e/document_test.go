package e2e

import (
	"bytes"
	"net/http"
	"os"
	"runtime"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// testHook is the prefix of the environment variables that only a test build
// reads.
var testHook = []byte("KEY2OAUTH_TEST")

// TestShippedProgramHasNoTestHooks searches the shipped program for them.
// TestC01BuiltProgram shows that the search can find one.
func TestShippedProgramHasNoTestHooks(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(built(t, buildProgram))
	if err != nil {
		t.Fatal(err)
	}
	if i := bytes.Index(b, testHook); i >= 0 {
		t.Errorf("the program contains %q", b[i:i+40])
	}
}

// TestC01BuiltProgram signs clients in with documents that the program fetches,
// with its own transport and certificate check. Only the address of the
// documents' hosts differs from real use.
func TestC01BuiltProgram(t *testing.T) {
	testenv.Slow(t)
	if runtime.GOOS != "linux" {
		testenv.Skip(t, "needs Linux, where an environment variable names the certificates to trust")
	}
	t.Parallel()
	exe := built(t, buildForTests)
	if b, err := os.ReadFile(exe); err != nil || !bytes.Contains(b, testHook) {
		t.Fatalf("the program built for tests has no hooks: %v", err)
	}
	srv := shimtest.NewDocuments(t)
	dial := ""
	for _, host := range []string{"zed.dev", "opencode.ai", "vscode.dev"} {
		dial += host + "=" + srv.Addr + ","
	}
	a := startExe(t, exe, "KEY2OAUTH_TEST_CIMD_DIAL="+dial, "SSL_CERT_FILE="+srv.CertFile())
	up := shimtest.NewUpstream(t, shimtest.Options{})
	e := a.addEndpoint("Linear", up.URL, "")
	for _, d := range shimtest.VendorDocuments(t) {
		switch d.ID() {
		case "https://zed.dev/oauth/client-metadata.json", "https://opencode.ai/oauth/opencode/client.json", "https://vscode.dev/oauth/client-metadata.json":
		default:
			continue
		}
		t.Run("C01 C07 "+d.ID(), func(t *testing.T) {
			srv.Publish(d.Document, "Cache-Control", "no-store")
			before := srv.Fetches()
			c := shimtest.NewDocumentClient(t, a.origin, d.ID(), d.Redirect())
			c.Resource = e.Local
			c.Connect(shimtest.NewBrowser(t, a.origin), up.Key())
			a.restart()
			if status, body := c.DoRefresh(c.Refresh); status != http.StatusOK {
				t.Errorf("refresh after a restart = %d %v", status, body)
			}
			if n := srv.Fetches() - before; n > 1 || n == 0 && d.Partial {
				t.Errorf("%d fetches for one sign-in, want one", n)
			}
		})
	}
	t.Run("C10 what a document's host is told", func(t *testing.T) {
		for _, r := range srv.Requests() {
			for name := range r.Header {
				switch name {
				case "Accept", "User-Agent":
				default:
					t.Errorf("a fetch carries %s", name)
				}
			}
		}
	})
}
