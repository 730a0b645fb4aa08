package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/trial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// Servers are the owner's servers with their keys.
type Servers interface {
	Endpoints() []endpoint.Endpoint
	Credentials(slug string) []endpoint.Credential
	Key(credential string) (endpoint.Secret, error)
	KeyTrouble(slug, credential string) endpoint.Trouble
	UpstreamURL(slug string) (*url.URL, error)
}

// What trying a key may come to besides the outcomes of package trial.
const (
	noKey       trial.Outcome = "no key"
	unusable    trial.Outcome = "unusable" // a key is saved, and cannot be read
	locked      trial.Outcome = "locked"
	otherHeader trial.Outcome = "header" // the key works in another header than the one chosen
)

// A keyTrial is what a server answered to one of its keys.
type keyTrial struct {
	outcome trial.Outcome
	fault   upstream.Fault
	words   string
	// clock is how far our clock runs ahead of the server's, if it said.
	clock      time.Duration
	clockKnown bool
}

// servers tries each key at its server.
func (r *round) servers() {
	all := r.Servers.Endpoints()
	if len(all) == 0 {
		r.look(api.GroupServers, "none", whatServers, func() verdict {
			return verdict{state: api.FindingSkipped, words: TextNoServer}
		})
		return
	}
	ctx, cancel := context.WithTimeout(r.ctx, cmp.Or(r.KeysTime, keysTime))
	defer cancel()
	t := &tries{round: &round{r.Doctor, ctx, r.tell}}
	var trying sync.WaitGroup
	room := make(chan struct{}, atOnce)
	for _, e := range all {
		keys := r.Servers.Credentials(e.Slug)
		if len(keys) == 0 {
			keys = []endpoint.Credential{{}}
		}
		room <- struct{}{}
		trying.Go(func() {
			defer func() { <-room }()
			for _, c := range keys { // a server is not asked for two at a time
				t.try(e, c)
			}
		})
	}
	trying.Wait()
	if t.left > 0 {
		r.look(api.GroupServers, "left", whatLeft, func() verdict {
			return warn(api.WhoseYours, fmt.Sprintf(TextLeft, t.left), NextLeft)
		})
	}
	if t.clock != nil {
		r.look(api.GroupServers, "clock", whatClock, func() verdict { return *t.clock })
	}
}

const (
	// atOnce is how many servers are examined at the same time.
	atOnce = 8
	// keysTime bounds the trial of all keys. One server may take 20 seconds.
	keysTime = 2 * time.Minute
)

// tries are the trials of all keys in a round.
type tries struct {
	*round

	mu    sync.Mutex
	clock *verdict // about our clock
	left  int      // keys for which there was no time
}

// try tries a key, unless there is no time left, and reports that.
func (t *tries) try(e endpoint.Endpoint, c endpoint.Credential) {
	if t.ctx.Err() != nil {
		t.mu.Lock()
		t.left++
		t.mu.Unlock()
		return
	}
	what := e.Name
	if c.Label != "" {
		what += ", " + c.Label
	}
	t.look(api.GroupServers, e.Slug+"."+c.ID, what, func() verdict {
		got := t.round.try(e, c)
		if t.ctx.Err() != nil { // what it says is about us
			return verdict{state: api.FindingSkipped, words: TextNoTime}
		}
		if got.clockKnown {
			t.noteClock(got.clock, e.UpstreamHost())
		}
		return judgeTrial(got)
	})
}

// noteClock judges our clock by that of a server. One server that agrees with it
// is believed.
func (t *tries) noteClock(ahead time.Duration, host string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.clock == nil || t.clock.state == api.FindingFailed {
		v := judgeClock(ahead, host)
		t.clock = &v
	}
}

// try tries one key at its server.
func (r *round) try(e endpoint.Endpoint, c endpoint.Credential) keyTrial {
	if c.ID == "" {
		return keyTrial{outcome: noKey}
	}
	if k := r.Status().Keychain; !k.Usable() {
		return keyTrial{outcome: locked, words: k.Words}
	}
	key, err := r.Servers.Key(c.ID)
	u, err2 := r.Servers.UpstreamURL(e.Slug)
	if err != nil || err2 != nil {
		why := r.Servers.KeyTrouble(e.Slug, c.ID)
		if why == endpoint.TroubleGone { // since the keys were listed
			return keyTrial{outcome: noKey}
		}
		return keyTrial{outcome: unusable, words: cmp.Or(why, endpoint.TroubleKeychain).Words()}
	}
	verdict := r.Keys.TryHeaders(r.ctx, upstream.Target{URL: u, Header: e.Header, Key: key}, endpoint.UsualHeaders[1:])
	if r.Heard != nil && r.ctx.Err() == nil && verdict.Header == e.Header {
		r.Heard(e.Slug, verdict)
	}
	t := keyTrial{outcome: verdict.Outcome, fault: verdict.Fault, words: verdict.Words}
	if verdict.Outcome == trial.OK && verdict.Header != e.Header {
		t.outcome, t.words = otherHeader, fmt.Sprintf(web.TextHeaderWanted, web.DescribeHeader(verdict.Header), web.DescribeHeader(e.Header))
	}
	t.clock, t.clockKnown = r.clockAgainst(upstream.Target{URL: u, Header: e.Header})
	return t
}

// clockAgainst compares our clock with that of a server, which is asked without
// a key.
func (r *round) clockAgainst(t upstream.Target) (ahead time.Duration, ok bool) {
	ctx, cancel := context.WithTimeout(upstream.WithTarget(r.ctx, &t), 5*time.Second)
	defer cancel()
	bare := *t.URL
	bare.RawQuery = ""
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, bare.String(), nil)
	if err != nil {
		return 0, false
	}
	res, err := r.Upstream.Send(req)
	if err != nil {
		return 0, false
	}
	res.Body.Close()
	theirs, err := http.ParseTime(res.Header.Get("Date"))
	return time.Since(theirs), err == nil
}

// maxDrift is how wrong a clock may be without harm.
const maxDrift = 2 * time.Minute

// judgeClock judges how far our clock runs ahead of a server's.
func judgeClock(ahead time.Duration, host string) verdict {
	if ahead < -maxDrift || ahead > maxDrift {
		text := TextClockAhead
		if ahead < 0 {
			text, ahead = TextClockBehind, -ahead
		}
		return failed(api.WhoseYours, fmt.Sprintf(text, span(ahead), host), NextClock)
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
func judgeTrial(t keyTrial) verdict {
	switch t.outcome {
	case trial.OK:
		return well(t.words)
	case trial.Keyless:
		return warn(api.WhoseYours, t.words, NextKeyless)
	case trial.Unproven:
		return warn(api.WhoseUpstream, t.words, NextUnproven)
	case noKey:
		return verdict{state: api.FindingSkipped, words: TextNoKey}
	case unusable:
		return failed(api.WhoseYours, t.words, NextPaste)
	case locked:
		return failed(api.WhoseYours, t.words, NextUnlock)
	case otherHeader:
		return failed(api.WhoseYours, t.words, NextHeader)
	case trial.Rejected:
		return failed(api.WhoseYours, t.words, NextRejected)
	case trial.NotMCP:
		return failed(api.WhoseYours, t.words, NextNotMCP)
	case trial.Redirect, trial.Refused:
		return failed(api.WhoseYours, t.words, NextAddress)
	case trial.Odd:
		return failed(api.WhoseUpstream, t.words, NextOdd)
	case trial.Barred:
		return failed(api.WhoseUpstream, t.words, NextBarred)
	case trial.Busy:
		return failed(api.WhoseUpstream, t.words, NextBusy)
	}
	switch t.fault {
	case upstream.FaultName:
		return failed(api.WhoseYours, t.words, NextName)
	case upstream.FaultPlain:
		return failed(api.WhoseYours, t.words, NextPlain)
	case upstream.FaultNetwork:
		return failed(api.WhoseNetwork, t.words, NextNetwork)
	case upstream.FaultCertificate:
		return failed(api.WhoseUpstream, t.words, NextCertificate)
	}
	return failed(api.WhoseUpstream, t.words, NextServer)
}
