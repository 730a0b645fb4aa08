package reach

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/tunnel"
)

func (r *Reach) tell(st tunnel.Status) {
	r.take(st)
	if r.c.Tell != nil {
		r.mu.Lock()
		test := r.describe(st).Test
		r.mu.Unlock()
		r.c.Tell(st, test)
	}
}

// take makes st the status. What worked is kept before it is shown.
func (r *Reach) take(st tunnel.Status) {
	ngrok := st.State == tunnel.Online && st.Provider == tunnel.ProviderNgrok
	r.mu.Lock()
	// A status of the wish before the last one says nothing any more.
	if r.pushed == nil || r.pushed.Provider != st.Provider || st.Provider == tunnel.ProviderOff {
		r.mu.Unlock()
		return
	}
	if ngrok {
		r.keepOrigin(st.Origin)
		r.keepAuthtoken()
	}
	r.status = st
	r.mu.Unlock()
	r.c.Changed()
}

// keepOrigin keeps the public origin that ngrok gave us. The caller holds mu.
func (r *Reach) keepOrigin(origin string) {
	seen := r.settings.Seen
	if seen == origin {
		return
	}
	if seen != "" {
		r.c.Log.Warn("the public address has changed; apps that use the old one must be added again", "old", seen, "new", origin)
	}
	if err := r.keep(func(t *settings) { t.Seen = origin }); err != nil {
		r.c.Log.Warn("the public address was not saved", "err", err)
	}
}

// keepAuthtoken seals an authtoken that is not saved yet and has just worked.
// The caller holds mu.
func (r *Reach) keepAuthtoken() {
	if r.env.IsZero() || !r.c.Keychain().Usable() {
		return
	}
	if kept, err := r.c.Vault.Secret(secretNgrok); err == nil && kept.Reveal() == r.env.Reveal() {
		return
	}
	if err := r.saveAuthtoken(r.env); err != nil {
		r.c.Log.Info("the ngrok authtoken was not saved", "err", err)
	}
}

// describe puts a status of the tunnel into the words of the API. The caller
// holds mu.
func (r *Reach) describe(st tunnel.Status) api.TunnelStatus {
	out := api.TunnelStatus{
		Provider: st.Provider, State: string(st.State), Words: st.Words, Next: st.Next, Link: st.Link, Code: st.Code, Whose: string(st.Whose),
		Account: st.Account, Plan: st.Plan, Region: st.Region,
	}
	if st.State == tunnel.Online {
		since := st.Since.UTC()
		out.Since = &since
		tested := r.tested.Equal(st.Since)
		out.Proven = tested && r.proven
		if st.Provider == tunnel.ProviderNgrok || out.Proven && r.found == "" {
			out.Words = fmt.Sprintf(web.TextTunnelOnline, st.Origin)
		}
		if tested {
			out.Test = r.found
		}
		if st.Provider == tunnel.ProviderExternal && r.c.Mixed != nil && r.c.Mixed() {
			out.Senders = web.TextSendersMixed
		}
	}
	return out
}

// Status is how the internet reaches us, for those who show it.
func (r *Reach) Status() api.TunnelStatus {
	r.mu.Lock()
	st, provider, seen, origin := r.status, r.provider(), r.settings.Seen, r.origin()
	switch {
	case provider == tunnel.ProviderOff || st.State == "":
		st = tunnel.Status{Provider: tunnel.ProviderOff, State: tunnel.Off, Words: tunnel.WordsOff}
	case r.c.Paused():
		st = tunnel.Status{Provider: provider, State: tunnel.Paused, Words: tunnel.WordsPaused}
	}
	out := r.describe(st)
	r.mu.Unlock()
	if u := r.Meter.add(time.Now()); provider != tunnel.ProviderOff || u.Requests > 0 {
		out.Usage = &api.TunnelUsage{Month: u.Month, Requests: u.Requests, Bytes: u.Bytes}
		if limits, ok := tunnel.LimitsOf(st.Plan); ok {
			out.Usage.MaxRequests, out.Usage.MaxBytes = limits.Requests, limits.Out
		}
		out.Usage.Warning = usageWarning(*out.Usage)
	}
	names, err := r.c.Vault.GrantedNames()
	if err != nil {
		r.c.Log.Warn("which apps are connected cannot be read", "err", err)
	}
	out.Stranded = stranded(r.c.AppName, names, seen, origin)
	return out
}

// Listener is the URL of this program that the owner's own tunnel must lead to,
// or "" while there is none.
func (r *Reach) Listener() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.provider() != tunnel.ProviderExternal || r.status.State == "" {
		return ""
	}
	return "http://" + r.c.Listener
}

// Point is where a tunnel of the owner's own must lead, whether or not it is
// turned on.
func (r *Reach) Point() string { return "http://" + r.c.Listener }

// stranded names the apps that signed in at a public origin which is not ours
// any more.
func stranded(app func(name, documentID string) string, names []vault.GrantedName, ours ...string) []string {
	var all []string
	for _, n := range names {
		if strings.HasPrefix(n.Origin, "https:") && !slices.Contains(ours, n.Origin) {
			all = append(all, app(n.Name, n.VerifiedID))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// usageWarning says that a monthly limit is near.
func usageWarning(u api.TunnelUsage) string {
	near := func(used, limit int64) bool { return limit > 0 && used >= limit/5*4 }
	switch {
	case u.MaxRequests > 0 && u.Requests >= u.MaxRequests, u.MaxBytes > 0 && u.Bytes >= u.MaxBytes:
		return web.TextUsageOver
	case near(u.Requests, u.MaxRequests):
		return fmt.Sprintf(web.TextUsageRequests, web.Number(u.Requests), web.Number(u.MaxRequests))
	case near(u.Bytes, u.MaxBytes):
		return fmt.Sprintf(web.TextUsageBytes, web.Number(u.Bytes/1e6), web.Number(u.MaxBytes/1e6))
	}
	return ""
}

// noticeUsage tells those who show the status when a limit comes near.
func (r *Reach) noticeUsage() {
	u := r.Status().Usage
	near := u != nil && u.Warning != ""
	r.mu.Lock()
	changed := near != r.warned
	r.warned = near
	r.mu.Unlock()
	if changed && near {
		r.c.Log.Warn("this month's limit of the tunnel is near", "requests", u.Requests, "bytes", u.Bytes)
	}
	if changed {
		r.c.Changed()
	}
}
