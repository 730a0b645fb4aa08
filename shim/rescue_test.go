package shim_test

import (
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// TestDataFolderRemoved: apps that connected before and after someone removed
// the data folder go on working after a restart, with the same admin token, and
// the owner is told.
func TestDataFolderRemoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		testenv.Skip(t, "needs to remove an open file, which Windows does not allow")
	}
	p := start(t)
	_, beforeURL, before := p.connect()
	if err := os.RemoveAll(p.dir); err != nil {
		t.Fatal(err)
	}
	_, afterURL, after := p.connect()
	st := p.shim.Status()
	if len(st.Notes) != 1 || st.Notes[0].Kind != api.NoteStateLost || st.Notes[0].Words == "" {
		t.Errorf("the status says %+v", st.Notes)
	}
	if page := p.owner().Open("/"); !strings.Contains(page.Body, web.Text("note.state")) {
		t.Error("the page does not say it")
	}
	token := p.token
	p = p.restart()
	if p.token != token {
		t.Error("the admin token has changed")
	}
	for url, c := range map[string]string{beforeURL: before.Access, afterURL: after.Access} {
		if resp, body := p.post(url, c, initialize); resp.StatusCode != http.StatusOK {
			t.Errorf("a call after the restart = %d %s", resp.StatusCode, body)
		}
	}
	if notes := p.shim.Status().Notes; len(notes) > 0 {
		t.Errorf("after a restart the status says %+v", notes)
	}
}
