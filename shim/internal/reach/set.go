package reach

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/tunnel"
)

// settleTime is how long the owner waits to learn how a change went. What takes
// longer shows in the status.
const settleTime = 20 * time.Second

// Set makes the tunnel be as the owner wants, and returns how that went. A wish
// that fails because of what the owner typed just now, such as a wrong
// authtoken, changes nothing: the tunnel stays as it was.
func (r *Reach) Set(ctx context.Context, w tunnel.Wish) (api.TunnelStatus, error) {
	w, err := r.check(w)
	if err != nil {
		return api.TunnelStatus{}, err
	}
	r.turn.Lock()
	defer r.turn.Unlock()
	before, err := r.push(w)
	if err != nil {
		return api.TunnelStatus{}, r.c.Explain(err)
	}
	if err := r.settle(ctx, w); err != nil {
		r.putBack(before, w)
		return api.TunnelStatus{}, err
	}
	r.c.Changed()
	return r.Status(), nil
}

// check finds what is wrong with a wish before anything is changed.
func (r *Reach) check(w tunnel.Wish) (tunnel.Wish, error) {
	if r.supervisor == nil {
		return w, httpx.New(http.StatusServiceUnavailable, "this program was built without a tunnel")
	}
	switch w.Provider {
	case tunnel.ProviderOff, tunnel.ProviderNgrok, tunnel.ProviderExternal:
	case "":
		return w, problem.Invalid("provider", errNoProvider)
	default:
		return w, problem.Invalid("provider", errNoSuchProvider)
	}
	w, err := checked(w)
	if e, ok := errors.AsType[*tunnel.WishError](err); ok {
		return w, problem.Invalid(cmp.Or(e.Field, "url"), e)
	}
	if w.Authtoken.IsZero() {
		return w, nil
	}
	if err := checkAuthtoken(w.Authtoken.Reveal()); err != nil {
		return w, problem.Invalid("authtoken", err)
	}
	if k := r.c.Keychain(); !k.Usable() {
		return w, problem.Unavailable(k.Words, nil)
	}
	return w, nil
}

// A snapshot is what a wish replaced.
type snapshot struct {
	settings settings
	off      bool
	env      tunnel.Authtoken
}

// push keeps a wish and asks the tunnel for it, and returns what it replaced.
func (r *Reach) push(w tunnel.Wish) (snapshot, error) {
	r.mu.Lock()
	was := snapshot{r.settings, r.off, r.env}
	if err := r.keep(keepWish(w)); err != nil {
		r.mu.Unlock()
		return was, err
	}
	r.off = false
	if !w.Authtoken.IsZero() {
		r.env = w.Authtoken // saved once it has worked
	}
	r.pushed = nil
	r.drive()
	r.mu.Unlock()
	r.c.Changed()
	return was, nil
}

// putBack undoes push.
func (r *Reach) putBack(was snapshot, w tunnel.Wish) {
	r.mu.Lock()
	err := r.keep(func(t *settings) {
		seen := t.Seen
		if *t = was.settings; w.Provider != tunnel.ProviderExternal {
			t.Seen = seen
		}
	})
	if err != nil {
		r.c.Log.Warn("what is kept about the tunnel could not be put back", "err", err)
	}
	r.off, r.env, r.pushed = was.off, was.env, nil
	r.drive()
	r.mu.Unlock()
	r.c.Changed()
}

// settle waits until it is known how a wish went, and seals an authtoken that
// was typed. Its error says why the wish has to be undone.
func (r *Reach) settle(ctx context.Context, w tunnel.Wish) error {
	typed := !w.Authtoken.IsZero()
	if w.Provider != tunnel.ProviderOff && !r.c.Paused() {
		r.mu.Lock()
		_, trouble := r.wish()
		r.mu.Unlock()
		switch {
		case trouble == nil:
		case trouble.State == tunnel.Failed:
			return problem.InField("authtoken", http.StatusBadRequest, problem.Join(trouble.Words, trouble.Next))
		default:
			return nil // it opens when the keychain answers
		}
		ctx, cancel := context.WithTimeout(ctx, settleTime)
		defer cancel()
		st := r.supervisor.Settled(ctx)
		r.take(st)
		if words := problem.Join(st.Words, st.Next); st.State == tunnel.Failed && typed {
			return problem.InField("authtoken", http.StatusBadRequest, words)
		} else if st.State == tunnel.Failed && w.URL != "" {
			return problem.InField("url", http.StatusBadRequest, words)
		}
	}
	if !typed {
		return nil
	}
	if err := r.saveAuthtoken(w.Authtoken); err != nil {
		return r.c.Explain(err)
	}
	return nil
}

const (
	errNoProvider     = problem.Sentence(`name a tunnel in "provider": "off", "ngrok" or "external"`)
	errNoSuchProvider = problem.Sentence(`there is no such tunnel; set "provider" to "off", "ngrok" or "external"`)
)

// checkAuthtoken finds what cannot be an authtoken, before it is sent anywhere.
// The rest is for ngrok to judge.
func checkAuthtoken(token string) error {
	switch {
	case len(token) > 200 || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return problem.Sentence(web.TextNotAuthtoken)
	case strings.HasPrefix(token, "ak_") || strings.HasPrefix(token, "ngrok_"):
		return problem.Sentence(web.TextAPIKeyNotAuthtoken)
	}
	return nil
}

// ReadAuthtoken takes an authtoken out of what people paste: the command that
// ngrok's own page shows, or the token alone. It may be zero.
func ReadAuthtoken(pasted string) tunnel.Authtoken {
	f := strings.Fields(pasted)
	if len(f) > 1 && strings.Contains(pasted, "authtoken") {
		f = f[len(f)-1:]
	}
	return tunnel.NewAuthtoken(strings.Trim(strings.Join(f, " "), `"'`))
}
