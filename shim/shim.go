package shim

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/activity"
	"github.com/key2oauth/key2oauth/shim/internal/adminapi"
	"github.com/key2oauth/key2oauth/shim/internal/calls"
	"github.com/key2oauth/key2oauth/shim/internal/changes"
	"github.com/key2oauth/key2oauth/shim/internal/cimd"
	"github.com/key2oauth/key2oauth/shim/internal/connect"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/dashboard"
	"github.com/key2oauth/key2oauth/shim/internal/doctor"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/movepages"
	"github.com/key2oauth/key2oauth/shim/internal/mover"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/origin"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/proxy"
	"github.com/key2oauth/key2oauth/shim/internal/pulse"
	"github.com/key2oauth/key2oauth/shim/internal/reach"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
	"github.com/key2oauth/key2oauth/shim/internal/samples"
	"github.com/key2oauth/key2oauth/shim/internal/selfcheck"
	"github.com/key2oauth/key2oauth/shim/internal/servers"
	"github.com/key2oauth/key2oauth/shim/internal/shell"
	"github.com/key2oauth/key2oauth/shim/internal/signin"
	"github.com/key2oauth/key2oauth/shim/internal/standing"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/trial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/tunnel"
)

// A Shim is the product without tray and tunnel, which it is given: an
// authorization server and a reverse proxy, over one state. It holds the rooms
// and does nothing of what they do.
type Shim struct {
	version string
	log     *slog.Logger

	vault     *vault.Vault
	changes   *changes.Feed
	activity  activity.Log
	timeline  *timeline.Recorder
	control   *control.Control
	reach     *reach.Reach
	owner     *owner.Owner
	signIns   *signin.SignIns
	calls     *calls.Calls
	pulse     *pulse.Pulse
	dashboard *dashboard.Dashboard
	connect   *connect.Pages
	sample    *samples.Sample
	shell     *shell.Shell
	servers   *servers.Pages
	adminAPI  *adminapi.API

	mover      *mover.Mover
	movePages  *movepages.Pages
	clients    *oauth.Clients
	documents  *cimd.Clients
	tokens     *oauth.Tokens
	requests   *oauth.Requests
	selfchecks selfcheck.Servers
	selfTests  origin.SelfTests
	exams      doctor.Examinations

	local     atomic.Pointer[origin.Origin]    // nil until ServeLocal
	public    atomic.Pointer[origin.Origin]    // the last one that was served, nil before
	token     atomic.Pointer[string]           // of the admin API
	own       atomic.Pointer[[]netip.AddrPort] // our own listeners on the local side, which no upstream may be
	front     atomic.Pointer[netip.AddrPort]   // the listener of the public side, if it has an address here
	reclaimer reclaimer                        // of both sides
}

// Open opens the data folder. Its errors are sentences for people; when it
// fails, nothing in the folder has changed.
func Open(cfg Config) (*Shim, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	s := &Shim{version: cfg.Version, log: cfg.Log, changes: changes.New()}
	v, err := vault.Open(vault.Config{
		Dir: cfg.Dir, Mode: keychain.Mode(cfg.Keychain), Helper: cfg.KeychainHelper, Log: cfg.Log,
		Rescue: func() error { return s.rescue(cfg) },
	})
	if err != nil {
		return nil, err
	}
	s.vault = v
	s.own.Store(&[]netip.AddrPort{})
	s.selfTests.Claimed = netip.MustParseAddr(tunnel.ProbeClaim)
	if err := s.wire(cfg); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return s, nil
}

// wire makes the rooms, from the bottom up. Functions that a room is given may
// be called only once the program serves.
func (s *Shim) wire(cfg Config) error {
	client := upstream.New(&safedial.Guard{Own: s.listeners, OwnName: s.isPublicName})
	watch := new(tunnel.Watch)
	watch.Tell(func(bool) { client.Renew() })
	client.Look = watch.Look
	trials := &trial.Tester{Client: client}
	if err := s.wireOAuth(); err != nil {
		return err
	}
	_, paused := s.vault.Setting(control.SettingPaused)
	s.timeline = s.newTimeline()
	s.pulse = pulse.New(pulse.Config{Vault: s.vault, Trials: trials, Changed: func() { s.control.Changed() }, Paused: func() bool { return s.calls.Pause.On() }, Log: s.log})
	s.calls = calls.New(calls.Config{
		Heard: s.pulse.Heard, Doubted: s.pulse.Look,
		Vault: s.vault, AppName: appName, Proxy: &proxy.Proxy{Client: client, Log: s.log}, Activity: &s.activity, Timeline: s.timeline,
		Changes: s.changes, Paused: paused, Log: s.log, Builtin: s.serveSelfcheck,
	})
	s.calls.LoadActivity()
	for slug, good := range s.calls.LastAnswers() {
		what := standing.Missing
		if good {
			what = standing.Good
		}
		s.pulse.Recall(slug, what)
	}
	s.control = control.New(control.Config{
		Vault: s.vault, Tokens: s.tokens, Trials: trials, Pulse: s.pulse, Timeline: s.timeline, Changes: s.changes,
		Login: cfg.Login, LogLevel: cfg.LogLevel, Dir: cfg.Dir, Log: s.log,
		Struck: s.activity.Struck,
		Own:    s.isOwn, LocalOrigin: s.localOrigin, PublicOrigin: func() string { return s.reach.Origin() },
		Paused: s.calls.Pause.On, Pause: s.calls.Pause.Set, Forget: s.calls.Forget, UseProxy: client.UseProxy,
		Steer: func() { s.reach.Drive() }, CloseTunnel: func() { s.reach.Close() },
		RemoveToken: func() error { return removeToken(cfg.Dir) },
	})
	client.UseProxy(s.control.UsesProxy())
	var err error
	s.reach, err = reach.New(reach.Config{
		AppName: appName,
		Start:   reach.Start(cfg.Tunnel), Vault: s.vault, Log: s.log, Serve: s.servePublic,
		Keychain: s.control.Keychain, Paused: s.calls.Pause.On, Changed: s.control.Changed,
		BeginSelfTest: s.selfTests.Begin, Outside: cfg.Outside, Explain: s.control.Explain, Watch: watch,
		Mixed: func() bool { o := s.public.Load(); return o != nil && o.Mixed() },
	})
	if err != nil {
		return err
	}
	if s.owner, err = s.newOwner(cfg.Dir); err != nil {
		return err
	}
	doc := &doctor.Doctor{
		RuntimeNote: cfg.RuntimeNote, Dir: cfg.Dir, Status: s.Status, Save: func() error { return s.control.Explain(s.vault.TryDisk()) },
		Selfcheck: s.selfcheck, Nonce: s.selfTests.Begin, Outside: cfg.Outside,
		Servers: s.vault, Heard: s.pulse.TakeTrial, Keys: trials, Upstream: client,
	}
	s.exams.Version, s.exams.Examine, s.exams.Changed = cfg.Version, doc.Examine, s.changes.Notify
	s.wirePages(cfg)
	return nil
}

// wireOAuth makes what issues and recognizes tokens.
func (s *Shim) wireOAuth() error {
	key, err := s.vault.Random(api.ValueClientIDKey, 32)
	if err != nil {
		return err
	}
	s.clients = &oauth.Clients{Key: [32]byte(key)}
	s.selfchecks.Store = s.vault
	s.tokens = oauth.NewTokens(&s.selfchecks, nil)
	s.tokens.Log = s.log
	s.requests = oauth.NewRequests(nil)
	s.documents = &cimd.Clients{Listeners: s.listeners, OwnHost: s.isPublicHost, Log: s.log}
	return nil
}

// newOwner makes what proves who the owner is. Its keys are made on the first
// run and kept.
func (s *Shim) newOwner(dir string) (*owner.Owner, error) {
	formKey, err := s.vault.Random(api.ValueFormKey, 32)
	if err != nil {
		return nil, err
	}
	cookie, err := s.vault.Random(api.ValueCookie, 4)
	if err != nil {
		return nil, err
	}
	token, err := adminToken(filepath.Join(dir, api.TokenFile))
	if err != nil {
		return nil, err
	}
	s.token.Store(&token)
	return owner.New(owner.Config{
		Cookie: fmt.Sprintf("k2o_%x", cookie), FormKey: formKey, AdminToken: token,
		Sessions: s.vault, Next: dashboard.Next, MaxForm: maxMove,
	}), nil
}

// wirePages makes the rooms of the owner's side: pages, admin API and sign-in.
func (s *Shim) wirePages(cfg Config) {
	s.signIns = signin.New(signin.Config{
		Requests: s.requests, Documents: s.documents, Owner: s.owner, Control: s.control, Timeline: s.timeline,
		Changes: s.changes, Prompter: cfg.Prompter, Log: s.log,
		Issuer: s.issuer, Local: func() *oauth.Server { return s.local.Load().Server },
	})
	s.mover = mover.New(mover.Config{
		Vault: s.vault, Control: s.control, Reach: s.reach, Clients: s.clients, LocalOrigin: s.localOrigin, Version: s.version, Log: s.log,
	})
	s.sample = samples.New(samples.Config{Server: cfg.Sample, Owner: s.owner, Control: s.control, Log: s.log})
	s.shell = &shell.Shell{
		Owner: s.owner, Status: s.Status, Origin: s.reach.Origin,
		Name: func(slug string) string { e, _ := s.control.Endpoint(slug); return e.Name },
	}
	s.servers = servers.New(servers.Config{
		Shell: s.shell, Owner: s.owner, Control: s.control, Sample: s.sample, Timeline: s.timeline, Version: s.version,
	})
	s.dashboard = dashboard.New(dashboard.Config{
		Shell: s.shell, Sample: s.sample,
		Owner: s.owner, Control: s.control, Reach: s.reach, Next: func() (web.ConnectNext, bool) { return s.connect.Next() }, Examinations: &s.exams, Timeline: s.timeline,
		Activity: &s.activity, Changes: s.changes, Status: s.Status, Version: s.version, LogFile: cfg.LogFile, Licenses: cfg.Licenses, Log: s.log,
	})
	s.movePages = movepages.New(movepages.Config{Owner: s.owner, Control: s.control, Mover: s.mover, Changes: s.changes, Version: s.version, Render: s.shell.Render})
	s.connect = connect.New(connect.Config{
		Owner: s.owner, Control: s.control, Timeline: s.timeline, Status: s.Status,
		Render: s.shell.Render,
	})
	s.adminAPI = adminapi.New(adminapi.Config{
		Owner: s.owner, Control: s.control, Reach: s.reach, Examinations: &s.exams, Timeline: s.timeline,
		Activity: &s.activity, Changes: s.changes, Status: s.Status, Log: s.log,
	})
}

func (s *Shim) newTimeline() *timeline.Recorder {
	return timeline.NewRecorder(s.vault, timeline.World{
		Server: func(slug string) string {
			e, _ := s.vault.Endpoint(slug)
			return e.Name
		},
		GrantGone: func(grant string) bool {
			_, err := s.vault.Grant(grant)
			return errors.Is(err, oauth.ErrNotFound)
		},
		Offline: func() bool { return !s.reach.Online() },
		PublicVia: func() string {
			if s.reach.Provider() == tunnel.ProviderNgrok {
				return timeline.Ngrok
			}
			return timeline.External
		},
		Changed: s.changes.Notify,
	}, s.log)
}

// originConfig is what every origin is made of.
func (s *Shim) originConfig() origin.Config {
	return origin.Config{
		NewServer: s.newAuthServer, Endpoint: s.calls.Serve, SelfTests: &s.selfTests, Log: s.log, Observe: s.observe,
		Exists: s.calls.Exists,
		SignIn: func(o *origin.Origin) (authorize, wait, ask httpx.HandlerFunc) {
			p := s.signIns.Pages(signin.Front{Server: o.Server, Loopback: o.Loopback, Limits: o.Limits, From: o.From, Here: o.Here})
			return p.Authorize, p.Wait, p.Ask
		},
		ShowError: func(w http.ResponseWriter, r *http.Request, public bool, e *httpx.Error) {
			web.ShowError(w, s.side(r, public), e)
		},
		ShowAddress: func(w http.ResponseWriter, r *http.Request, public bool, status int) {
			web.Render(w, status, web.Address{Side: s.side(r, public)})
		},
		ShowNowhere: func(w http.ResponseWriter, r *http.Request, public bool, status int) {
			web.ShowNowhere(w, s.side(r, public), status)
		},
	}
}

// side says who sees an error page, and on which side. The owner's browser gets
// the tabs with it, but none of the owner's data.
func (s *Shim) side(r *http.Request, public bool) web.Side {
	side := web.Side{Public: public}
	if !public {
		_, side.Owner = s.owner.Session(r)
	}
	return side
}

// appName names an app by what is kept of it.
func appName(name, documentID string) string { return cimd.App(name, documentID).String() }

// newAuthServer makes the authorization server of an issuer.
func (s *Shim) newAuthServer(issuer string) *oauth.Server {
	return &oauth.Server{
		Issuer: issuer, Tokens: s.tokens, Clients: s.clients, Requests: s.requests, Log: s.log,
		Endpoint: func(slug string) (string, bool) {
			e, ok := s.vault.Endpoint(slug)
			if c := s.selfchecks.Find(slug); c != nil && c.Origin == issuer {
				return selfcheck.Answer, true
			}
			return e.Name, ok
		},
		SoleEndpoint: func() (string, bool) {
			all := s.vault.Endpoints()
			if len(all) != 1 {
				return "", false
			}
			return all[0].Slug, true
		},
		Own: s.isOwn, Known: s.control.KnownRedirect, CIMD: s.documents,
		AccessTTL: s.control.AccessTTL, OwnUser: owner.IsSameUser,
	}
}

// observe notes what the authorization server of an origin saw. What an
// examination does is not an attempt.
func (s *Shim) observe(o *origin.Origin, r *http.Request, x oauth.Observation) {
	if s.selfchecks.Owns(r) || s.selfchecks.Find(x.Slug) != nil {
		return
	}
	s.timeline.Note(timeline.Entry{
		From: o.From(r), Agent: timeline.Agent(r.UserAgent()), Via: s.timeline.Via(o.Loopback),
		Step: timeline.Step(x.Step), Why: string(x.Reason),
		Client: x.Client, Name: x.Name, App: x.App, Request: x.Request, Grant: x.Grant, Slug: x.Slug,
	})
	if x.Step == oauth.StepExchange && x.Reason == "" {
		s.vault.Flush() // else a power cut would make it look as if the client never came back
	}
}

// serveSelfcheck serves the built-in server of an examination.
func (s *Shim) serveSelfcheck(w http.ResponseWriter, r *http.Request, as *oauth.Server, slug, sub string) bool {
	c := s.selfchecks.Find(slug)
	if c == nil || !c.On(as) {
		return false
	}
	c.Serve(w, r, sub)
	return true
}

// selfcheck opens a built-in server for an examination.
func (s *Shim) selfcheck(public bool) (*selfcheck.Server, error) {
	o := s.local.Load()
	if public {
		o = s.public.Load()
	}
	if o == nil {
		return nil, errors.New("nothing is served there")
	}
	return s.selfchecks.Begin(o.Server, s.log), nil
}

// issuer finds the authorization server that got a request. It is nil if we are
// no longer reached at that origin.
func (s *Shim) issuer(name string) *oauth.Server {
	for _, o := range []*origin.Origin{s.local.Load(), s.public.Load()} {
		if o != nil && o.Server.Issuer == name {
			return o.Server
		}
	}
	return nil
}

func (s *Shim) localOrigin() string {
	if o := s.local.Load(); o != nil {
		return o.Server.Issuer
	}
	return ""
}

// listeners are the addresses of this computer at which we listen.
func (s *Shim) listeners() []netip.AddrPort {
	own := *s.own.Load()
	if front := s.front.Load(); front != nil {
		return append(own[:len(own):len(own)], *front)
	}
	return own
}

// isPublicHost reports whether the internet reaches us at this host: fetching a
// document from there would be asking ourselves.
func (s *Shim) isPublicHost(host string) bool {
	u, err := url.Parse(s.reach.Origin())
	return err == nil && u.Host != "" && strings.EqualFold(u.Hostname(), host)
}

// isPublicName is isPublicHost at any port, since tunnels take connections at
// several.
func (s *Shim) isPublicName(host, port string) bool { return s.isPublicHost(host) }

// isOwn reports whether a browser on this computer would come to ourselves.
func (s *Shim) isOwn(host, port string) bool {
	if s.isPublicHost(host) {
		return true
	}
	addr, err := netip.ParseAddr(host)
	here := err == nil && (addr.IsLoopback() || addr.IsUnspecified()) || strings.EqualFold(host, "localhost")
	return here && slices.ContainsFunc(s.listeners(), func(own netip.AddrPort) bool { return strconv.Itoa(int(own.Port())) == port })
}

// Close ends what Open began. The listeners must have stopped.
func (s *Shim) Close() error {
	s.sample.Close()
	return s.vault.Close()
}
