// Package doctor examines Key2OAuth from outside in, as its users meet it. It
// runs a complete sign-in on each origin, as an app would, tries each server
// with its keys, and looks at what the program needs of the computer. A finding
// says what is wrong, who has to fix it, and what to do. It sees of the program
// only what the fields of a Doctor are.
package doctor

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/selfcheck"
	"github.com/key2oauth/key2oauth/shim/internal/trial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/tunnel"
)

// A Doctor examines a running Key2OAuth. The fields are what it examines.
type Doctor struct {
	Dir    string // the data folder
	Status func() api.Status
	// Save writes to the state, and says in a sentence why it cannot.
	Save func() error
	// Selfcheck opens a built-in server on the public origin or the local one.
	// It fails if there is no such origin.
	Selfcheck func(public bool) (*selfcheck.Server, error)
	// Nonce serves a nonce at a path of the public origin until end is called.
	Nonce func() (path, nonce string, end func())
	// Outside goes out to the internet as any client does. nil means that
	// there is no special way.
	Outside func() *http.Client
	// Free tells how many bytes are free on the disk of a folder; nil means to
	// ask the system.
	Free func(dir string) (int64, error)

	// RuntimeNote says what is wrong with the Go runtime; mostly empty.
	RuntimeNote string
	// KeysTime bounds the trial of all keys; 0 means the usual time.
	KeysTime time.Duration

	Servers Servers
	// Heard is told what a server answered to a key. It may be nil.
	Heard    func(slug string, v trial.Verdict)
	Keys     *trial.Tester
	Upstream *upstream.Client
}

// A round is one examination.
type round struct {
	*Doctor
	ctx  context.Context
	tell func(api.Finding)
}

// Examine examines everything. It tells of each thing as api.FindingRunning when
// it begins, and again when it is done.
func (d *Doctor) Examine(ctx context.Context, tell func(api.Finding)) {
	var telling sync.Mutex // keys are tried side by side
	r := &round{d, ctx, func(f api.Finding) {
		telling.Lock()
		defer telling.Unlock()
		tell(f)
	}}
	r.computer()
	r.origin(api.GroupLocal)
	r.public()
	r.servers()
}

// A verdict is what looking at one thing came to. Its zero value is that all is
// well.
type verdict struct {
	state, whose, words, next, link string
}

// look examines one thing and reports it.
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

// failed is the verdict on something that does not work.
func failed(whose, words, next string) verdict {
	return verdict{state: api.FindingFailed, whose: whose, words: words, next: next}
}

func warn(whose, words, next string) verdict {
	return verdict{state: api.FindingWarn, whose: whose, words: words, next: next}
}

func well(words string) verdict { return verdict{words: words} }

// ofFault is the verdict of package tunnel.
func ofFault(f *tunnel.Fault) verdict {
	return verdict{state: api.FindingFailed, whose: string(f.Problem.Whose), words: f.Problem.Words, next: f.Problem.Next, link: f.Problem.Link}
}

// computer examines what is the same for all apps.
func (r *round) computer() {
	st := r.Status()
	r.look(api.GroupComputer, "version", whatApp, func() verdict {
		words := fmt.Sprintf(TextVersion, st.Version, runtime.GOOS, runtime.GOARCH, runtime.Version())
		if r.RuntimeNote != "" {
			return warn(api.WhoseYours, words+" "+fmt.Sprintf(TextRuntime, r.RuntimeNote), NextRuntime)
		}
		return well(words)
	})
	if !st.SameUserCheck {
		r.look(api.GroupComputer, "users", whatUsers, func() verdict { return warn(api.WhoseYours, TextUsers, NextUsers) })
	}
	r.look(api.GroupComputer, "paused", whatPaused, func() verdict {
		if st.Paused {
			return failed(api.WhoseYours, TextPaused, NextResume)
		}
		return verdict{}
	})
	r.look(api.GroupComputer, "keychain", whatKeychain, func() verdict { return keychain(st.Keychain) })
	r.look(api.GroupComputer, "disk", whatDisk, r.disk)
	r.look(api.GroupComputer, "state", whatState, func() verdict {
		err := r.Save()
		if disk := r.Status().Disk; err != nil && disk.Words != "" {
			return failed(api.WhoseYours, disk.Words, disk.Next)
		}
		if err != nil {
			return failed(api.WhoseYours, fmt.Sprintf(TextState, trimmed(err)), NextState)
		}
		return verdict{}
	})
	r.look(api.GroupComputer, "damage", whatDamage, func() verdict {
		var words []string
		for _, n := range st.Notes {
			words = append(words, n.Words)
		}
		damaged := slices.DeleteFunc(slices.Clone(st.Damaged), func(d api.Damage) bool {
			return d.Kind == api.DamagedSealedKey // see the key itself
		})
		if len(damaged) == 0 && len(words) > 0 {
			return verdict{state: api.FindingWarn, whose: api.WhoseYours, words: strings.Join(words, " ")}
		}
		if len(damaged) == 0 {
			return verdict{}
		}
		for _, d := range damaged {
			words = append(words, d.Words)
		}
		return failed(api.WhoseYours, strings.Join(words, " "), NextDamage)
	})
}

func trimmed(err error) string { return strings.TrimRight(err.Error(), ".") + "." }

// keychain judges the state of the keychain.
func keychain(k api.Keychain) verdict {
	switch k.State {
	case api.KeychainReady:
		return verdict{}
	case api.KeychainFile:
		return well(k.Words)
	case api.KeychainMemory:
		return warn(api.WhoseYours, k.Words, NextKeychain)
	}
	return failed(api.WhoseYours, k.Words, NextUnlock)
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
		return verdict{state: api.FindingSkipped, words: TextDiskUnknown}
	case n < lowDisk:
		return failed(api.WhoseYours, fmt.Sprintf(TextDiskLow, n>>20), NextDisk)
	}
	return well(fmt.Sprintf(TextDisk, n>>30))
}
