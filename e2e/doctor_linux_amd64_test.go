package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestDoctorClock sets the clock of the program, for real: the doctor sees it
// by what the servers say, and so does who comes back to access that has ended.
func TestDoctorClock(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	clock := &clock{t: t}
	a := startWith(t, &app{begin: clock.begin})
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	u := signedIn(t, a, a.addEndpoint("Linear", up.URL, up.Key()).Local, up.Key())
	if c := a.doctor(); !c.OK || c.find("servers.clock").State != "ok" {
		t.Fatalf("with the right clock the doctor says %+v", c.Findings)
	}
	for ahead, which := range map[time.Duration]string{time.Hour: "ahead of", -3 * time.Hour: "behind"} {
		clock.set(ahead)
		a.mustBlame("servers.clock", "failed", "yours", which, "set its clock")
	}
	clock.set(100 * 24 * time.Hour) // nobody used it for so long
	if status, body := u.DoRefresh(u.Refresh); status == http.StatusOK {
		t.Fatalf("a refresh after 100 days = %d %v", status, body)
	}
	if all := a.attempts(); len(all) != 1 || !strings.HasPrefix(all[0].Diagnosis.Cause, "refresh ") || all[0].Diagnosis.Whose != "yours" || !strings.Contains(all[0].Diagnosis.Words, "90 days") {
		t.Errorf("the timeline says of expired access: %+v", all)
	}
}
