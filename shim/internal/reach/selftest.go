package reach

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/tunnel"
)

const (
	testTime = 20 * time.Second
	// retestTime is how long after a test that found trouble the next one comes.
	// Each costs a request of ngrok's quota, so there the time doubles.
	retestTime, maxRetestTime = 15 * time.Second, time.Hour
)

// notice takes a status over from the supervisor. Each time that the tunnel
// comes online it is tested from outside, since a service may accept us and
// still pass nothing on.
func (r *Reach) notice(ctx context.Context, st tunnel.Status) {
	r.tell(st)
	if st.State != tunnel.Online {
		return
	}
	r.mu.Lock()
	tested := r.tested.Equal(st.Since)
	if r.tested = st.Since; !tested {
		r.found, r.passed, r.proven = "", false, false
		r.Meter.awaited.Store(true)
	}
	r.mu.Unlock()
	if !tested {
		r.selfTest(ctx, st.Since)
	}
}

// selfTest tests the connection that is open since then, and tells what it found.
func (r *Reach) selfTest(ctx context.Context, since time.Time) {
	ctx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	words, ok := r.test(ctx)
	r.note(since, words, ok)
	r.tell(r.supervisor.Status())
}

// note keeps what a test of a connection found.
func (r *Reach) note(since time.Time, words string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.tested.Equal(since) {
		return
	}
	if r.passed, r.found = ok, words; ok {
		r.found, r.proven = "", true
	}
	r.Meter.awaited.Store(!ok)
	r.noteChange()
}

// noteChange has retest look again. The caller holds mu.
func (r *Reach) noteChange() {
	select {
	case r.noted <- struct{}{}:
	default:
	}
}

// came takes in that a request has come through the tunnel, for the public
// address. That proves more than a self-test that failed: some routers do not let
// a computer reach its own public address.
func (r *Reach) came(host string) {
	r.mu.Lock()
	u, err := url.Parse(r.origin())
	mine := err == nil && u.Host != "" && strings.EqualFold(u.Host, host) && r.status.State == tunnel.Online && r.tested.Equal(r.status.Since)
	if mine {
		r.found, r.proven = "", true
		r.noteChange()
	} else {
		r.Meter.awaited.Store(true)
	}
	r.mu.Unlock()
	if mine {
		r.tell(r.supervisor.Status())
	}
}

// failing returns the connection in which the last test found trouble, and the
// provider of the tunnel.
func (r *Reach) failing() (since time.Time, provider string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ok = r.found != "" && r.status.State == tunnel.Online && r.tested.Equal(r.status.Since)
	return r.tested, r.provider(), ok
}

// retest tests the tunnel again while a test finds trouble, until ctx ends: the
// owner mends it elsewhere, and a used-up month passes.
func (r *Reach) retest(ctx context.Context) {
	wait, of := r.retestEvery, time.Time{}
	for {
		var later <-chan time.Time
		since, provider, failing := r.failing()
		if !failing || !since.Equal(of) {
			wait, of = r.retestEvery, since
		}
		if failing {
			later = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-r.noted:
			continue
		case <-later:
		}
		if provider != tunnel.ProviderExternal {
			wait = min(2*wait, maxRetestTime)
		}
		if now, _, failing := r.failing(); failing && now.Equal(since) {
			r.selfTest(ctx, since)
		}
	}
}

// Test goes out to the internet and back in by the public address. It returns
// what a person should know, and whether all is well.
func (r *Reach) Test(ctx context.Context) (words string, ok bool, err error) {
	if r.supervisor == nil || r.Origin() == "" {
		return "", false, httpx.New(http.StatusConflict, tunnel.WordsOff)
	}
	r.mu.Lock()
	since := r.tested
	r.mu.Unlock()
	words, ok = r.test(ctx)
	r.note(since, words, ok)
	r.c.Changed() // it may have shown who sends requests, too
	return words, ok, nil
}

func (r *Reach) test(ctx context.Context) (words string, ok bool) {
	path, nonce, end := r.c.BeginSelfTest()
	defer end()
	var client *http.Client
	if r.c.Outside != nil {
		client = r.c.Outside()
	}
	err := tunnel.Probe(ctx, client, r.Origin(), path, nonce)
	if err == nil {
		return web.TextTestPassed, true
	}
	f, isFault := errors.AsType[*tunnel.Fault](err)
	if !isFault {
		return fmt.Sprintf(web.TextTestImpossible, err), false
	}
	return problem.Join(f.Problem.Words, f.Problem.Next), false
}
