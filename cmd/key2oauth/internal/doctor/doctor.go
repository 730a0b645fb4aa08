// Package doctor examines the running app from outside: it plays a client on
// each origin from the name of the host to the revoking of its tokens, tries
// each server with its keys, and looks at what the app needs of the computer.
// It says of each fault whose it is, and what to do.
package doctor

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/tunnel"
)

// Who is at fault, besides those whom package tunnel names.
const (
	yours     = string(tunnel.Yours)
	ngroks    = string(tunnel.Ngroks)
	network   = string(tunnel.Network)
	ours      = string(tunnel.Ours)
	upstreams = "upstream"
)

// The groups of findings, in the order in which they are looked at.
const (
	groupComputer = "computer"
	groupLocal    = "local"
	groupPublic   = "public"
	groupServers  = "servers"
)

// A Doctor implements shim.Doctor.
type Doctor struct {
	Shim *shim.Shim
	Dir  string // the data folder
	// Outside goes out to the internet as any client does. nil means that
	// there is no special way.
	Outside func() *http.Client
	// Free tells how many bytes are free on the disk of a folder; nil means to
	// ask the system.
	Free func(dir string) (int64, error)
}

// A round is one examination.
type round struct {
	*Doctor
	ctx  context.Context
	tell func(api.Finding)
}

// Examine implements shim.Doctor.
func (d *Doctor) Examine(ctx context.Context, tell func(api.Finding)) {
	r := &round{d, ctx, tell}
	r.computer()
	r.origin(groupLocal)
	r.public()
	r.servers()
}

// A verdict is what looking at one thing came to. Its zero value is that all is
// well.
type verdict struct {
	state, whose, words, next, link string
}

// look examines one thing and tells of it.
func (r *round) look(group, id, what string, f func() verdict) verdict {
	x := api.Finding{ID: group + "." + id, Group: group, What: what, State: api.FindingRunning}
	r.tell(x)
	began := time.Now()
	v := f()
	if v.state == "" {
		v.state = api.FindingOK
	}
	x.State, x.Whose, x.Words, x.Next, x.Link = v.state, v.whose, v.words, v.next, v.link
	x.MS = time.Since(began).Milliseconds()
	r.tell(x)
	return v
}

// failed is the verdict that something does not work.
func failed(whose, words, next string) verdict {
	return verdict{state: api.FindingFailed, whose: whose, words: words, next: next}
}

func warn(whose, words, next string) verdict {
	return verdict{state: api.FindingWarn, whose: whose, words: words, next: next}
}

func well(words string) verdict { return verdict{words: words} }

// ofFault is the verdict that package tunnel has come to.
func ofFault(f *tunnel.Fault) verdict {
	return verdict{state: api.FindingFailed, whose: string(f.Problem.Whose), words: f.Problem.Words, next: f.Problem.Next, link: f.Problem.Link}
}

// computer looks at what is the same for all clients.
func (r *round) computer() {
	st := r.Shim.Status()
	r.look(groupComputer, "version", whatApp, func() verdict {
		return well(fmt.Sprintf(textVersion, st.Version, runtime.GOOS, runtime.GOARCH))
	})
	r.look(groupComputer, "paused", whatPaused, func() verdict {
		if st.Paused {
			return failed(yours, textPaused, nextResume)
		}
		return verdict{}
	})
	r.look(groupComputer, "keychain", whatKeychain, func() verdict { return keychain(string(st.Keychain.State), st.Keychain.Words) })
	r.look(groupComputer, "disk", whatDisk, r.disk)
	r.look(groupComputer, "state", whatState, func() verdict {
		err := r.Shim.TryState()
		if disk := r.Shim.Status().Disk; err != nil && disk.Words != "" {
			return failed(yours, disk.Words, disk.Next)
		}
		if err != nil {
			return failed(yours, fmt.Sprintf(textState, trimmed(err)), nextState)
		}
		return verdict{}
	})
}

func trimmed(err error) string { return strings.TrimRight(err.Error(), ".") + "." }

// keychain judges the state of the keychain.
func keychain(state, words string) verdict {
	switch state {
	case "ready":
		return verdict{}
	case "file":
		return well(words)
	case "memory":
		return warn(yours, words, nextKeychain)
	}
	return failed(yours, words, nextUnlock)
}

// lowDisk is how much must be free. The state is much smaller, but every change
// needs room to be written whole.
const lowDisk = 64 << 20

func (r *round) disk() verdict {
	free := r.Free
	if free == nil {
		free = freeBytes
	}
	n, err := free(r.Dir)
	switch {
	case err != nil:
		return verdict{state: api.FindingSkipped, words: textDiskUnknown}
	case n < lowDisk:
		return failed(yours, fmt.Sprintf(textDiskLow, n>>20), nextDisk)
	}
	return well(fmt.Sprintf(textDisk, n>>30))
}

// servers tries each key at its server.
func (r *round) servers() {
	all := r.Shim.Servers()
	if len(all) == 0 {
		r.look(groupServers, "none", whatServers, func() verdict {
			return verdict{state: api.FindingSkipped, words: textNoServer}
		})
		return
	}
	var clock *verdict
	for _, s := range all {
		what := s.Name
		if s.Label != "" {
			what += ", " + s.Label
		}
		r.look(groupServers, s.Slug+"."+s.Credential, what, func() verdict {
			t := r.Shim.TryKey(r.ctx, s)
			if t.ClockKnown && (clock == nil || clock.state == api.FindingFailed) {
				v := judgeClock(t.Clock, t.Host)
				clock = &v
			}
			return judgeTrial(t)
		})
	}
	if clock != nil {
		r.look(groupServers, "clock", whatClock, func() verdict { return *clock })
	}
}

// maxDrift is how wrong a clock may be without harm.
const maxDrift = 2 * time.Minute

// judgeClock judges how far our clock runs ahead of a server's.
func judgeClock(ahead time.Duration, host string) verdict {
	if ahead < -maxDrift || ahead > maxDrift {
		text := textClockAhead
		if ahead < 0 {
			text, ahead = textClockBehind, -ahead
		}
		return failed(yours, fmt.Sprintf(text, span(ahead), host), nextClock)
	}
	return verdict{}
}

// span says how long d is, roughly.
func span(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "days"}, {time.Hour, "hours"}} {
		if d >= 2*u.unit {
			return fmt.Sprintf("%d %s", int(d.Round(u.unit)/u.unit), u.name)
		}
	}
	return fmt.Sprintf("%d minutes", int(d.Round(time.Minute)/time.Minute))
}

// judgeTrial judges what a server answered to a key.
func judgeTrial(t shim.KeyTrial) verdict {
	switch t.Outcome {
	case "ok":
		return well(t.Words)
	case "keyless":
		return warn(yours, t.Words, nextKeyless)
	case "no key":
		return verdict{state: api.FindingSkipped, words: textNoKey}
	case "locked":
		return failed(yours, t.Words, nextUnlock)
	case "header":
		return failed(yours, t.Words, nextHeader)
	case "rejected":
		return failed(yours, t.Words, nextRejected)
	case "not_mcp":
		return failed(yours, t.Words, nextNotMCP)
	case "redirect", "refused":
		return failed(yours, t.Words, nextAddress)
	case "busy":
		return failed(upstreams, t.Words, nextBusy)
	}
	switch t.Fault {
	case "name":
		return failed(yours, t.Words, nextName)
	case "plain":
		return failed(yours, t.Words, nextPlain)
	case "network":
		return failed(network, t.Words, nextNetwork)
	case "certificate":
		return failed(upstreams, t.Words, nextCertificate)
	}
	return failed(upstreams, t.Words, nextServer)
}
