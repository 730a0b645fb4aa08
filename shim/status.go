package shim

import (
	"context"
	"net/http"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/doctor"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/standing"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/tunnel"
)

// Status reports how things stand now.
func (s *Shim) Status() api.Status {
	st := s.status()
	st.Concerns = standing.Concerns(st, s.control.States())
	return st
}

// status is Status without the concerns.
func (s *Shim) status() api.Status {
	st := api.Status{
		Version:       s.version,
		LocalOrigin:   s.localOrigin(),
		Tunnel:        s.reach.Status(),
		Keychain:      s.control.Keychain(),
		Disk:          s.control.Disk(),
		Damaged:       s.control.Damaged(),
		Notes:         s.control.Notes(),
		Paused:        s.calls.Pause.On(),
		SameUserCheck: owner.ChecksUser(), TwoPlaces: s.control.TwoPlaces(),
		Pending:  s.signIns.Pending(),
		Attempts: s.timeline.Failed(),
	}
	st.Internet = standing.Internet(st.Tunnel, st.Paused)
	if p := s.reach.Origin(); p != "" {
		st.PublicOrigin = &p
	}
	if l := s.reach.Listener(); l != "" {
		st.PublicListener = &l
	}
	st.Endpoints, st.Rejected = s.vault.Counts()
	if n, err := s.vault.NumGrants(); err == nil {
		st.Grants = n
	}
	for _, n := range s.activity.Struck() {
		st.Struck += n
	}
	return st
}

// Overview reports how things stand now.
func (s *Shim) Overview() (api.Overview, error) {
	o := api.Overview{Status: s.status()}
	l, err := s.control.Listing()
	if err != nil {
		return o, err
	}
	recent, err := s.control.Recent()
	if err != nil {
		return o, err
	}
	o.Status.Concerns = standing.Concerns(o.Status, l.Servers)
	o.Endpoints, o.MoreClients = l.Servers, o.Status.Grants-len(recent)
	names := make(map[string]string)
	for _, e := range l.Servers {
		names[e.Slug] = e.DisplayName
	}
	for _, g := range recent {
		sum := api.ClientSummary{Grant: g.ID, Name: g.Who.String(), Endpoint: names[g.Slug], Connected: g.Created, Old: time.Since(g.Created) > time.Hour}
		if g.LastUsed != nil {
			sum.LastUsed = *g.LastUsed
		}
		o.Clients = append(o.Clients, sum)
	}
	o.WasOnline, o.Confirm = s.reach.WasOnline(), s.owner.Asked()
	return o, nil
}

// Watch calls f now and after each change, until ctx ends or the program stops
// serving. Changes that come close together are one. That something was used is
// a change too, and may be told some seconds later. Nothing fires when a client
// gives up half way, so while one may, f is called now and then.
func (s *Shim) Watch(ctx context.Context, f func()) {
	const atMostEvery, callsAtMostEvery, lookEvery = 200 * time.Millisecond, 5 * time.Second, 30 * time.Second
	for {
		changed, more := s.changes.Wait()
		_, _, called := s.activity.Since(s.activity.End())
		f()
		if !more {
			return
		}
		var later <-chan time.Time
		if s.timeline.Going() {
			later = time.After(lookEvery)
		}
		select {
		case <-changed:
		case <-later:
		case <-called:
			select {
			case <-changed:
			case <-time.After(callsAtMostEvery):
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(atMostEvery):
		case <-ctx.Done():
			return
		}
	}
}

// OwnerLink returns a link that signs its browser in as the owner, and leads to
// a path of the loopback side. It works once, for 30 seconds. It is empty before
// ServeLocal.
func (s *Shim) OwnerLink(path string) string { return s.owner.Link(path) }

// StartLink is OwnerLink for the terminal that the program was started from. It is
// good for ten minutes.
func (s *Shim) StartLink() string { return s.owner.StartLink() }

// SetPaused stops every call, or lets calls through again. It survives a
// restart.
func (s *Shim) SetPaused(paused bool) error { return s.control.SetPaused(paused) }

// Revoke ends a grant, and cuts its streams.
func (s *Shim) Revoke(grant string) error { return s.control.Disconnect(grant) }

// SetOnline opens the tunnel that was on before, or closes it. It waits until
// it is known how that went.
func (s *Shim) SetOnline(ctx context.Context, online bool) error {
	wish := tunnel.Wish{Provider: tunnel.ProviderOff}
	if online {
		wish = s.reach.Last()
	}
	st, err := s.reach.Set(ctx, wish)
	if err == nil && st.State == api.TunnelFailed {
		err = httpx.New(http.StatusBadGateway, problem.Join(st.Words, st.Next))
	}
	return err
}

// FindingText is a finding over some lines: what it is, who has to fix it, and
// what to do. The heading of its group comes first unless the finding before it,
// of the group after, has had it.
func FindingText(f api.Finding, after string) string { return doctor.FindingText(f, after) }

// ServerState names a state of an api.Endpoint for people, as pages and tray do.
// While everything is paused, so is every server.
func ServerState(state string, paused bool) string {
	if paused {
		state = web.StatePaused
	}
	return web.ServerState(state)
}
