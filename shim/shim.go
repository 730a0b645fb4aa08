package shim

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/atomicfile"
	"github.com/key2oauth/key2oauth/shim/internal/activity"
	"github.com/key2oauth/key2oauth/shim/internal/changes"
	"github.com/key2oauth/key2oauth/shim/internal/cimd"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/doctor"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/proxy"
	"github.com/key2oauth/key2oauth/shim/internal/reach"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
	"github.com/key2oauth/key2oauth/shim/internal/selfcheck"
	"github.com/key2oauth/key2oauth/shim/internal/signin"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/trial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
)

// Config is what a Shim is made from.
type Config struct {
	// Dir is the data folder. The caller holds its lock: two programs on one
	// folder would each believe their own memory.
	Dir string
	// Version is shown on pages and in the status; empty means "dev".
	Version string
	// Keychain is where the master key is kept: "os", "file" or "memory".
	// Empty means "os", or "memory" on a first run where there is no keychain
	// service at all.
	Keychain string
	// KeychainHelper is the command that runs RunKeychainHelper in a process
	// of its own. It is used on Linux, where the keychain and the tray
	// disturb each other in one process; empty means in this process.
	KeychainHelper []string
	// Prompter tells the owner that something waits for him. Without one, it
	// shows on the home page and in the status.
	Prompter Prompter
	Tunnel   TunnelConfig
	// Outside goes out to the internet as any client does, for an examination
	// and for the test of a tunnel that has opened.
	// nil means that there is no special way.
	Outside func() *http.Client
	// Login is shown among the settings; nil hides it.
	Login Login
	// LogLevel is what Log goes by, if the owner may change that while the
	// program runs; nil hides it.
	LogLevel *slog.LevelVar
	Log      *slog.Logger // nil means slog.Default()
}

// A Shim is the product without tray and tunnel, which it is given: an
// authorization server and a reverse proxy, over one state.
type Shim struct {
	version    string
	dir        string
	log        *slog.Logger
	vault      *vault.Vault
	clients    *oauth.Clients
	documents  *cimd.Clients
	tokens     *oauth.Tokens
	requests   *oauth.Requests
	signIns    *signin.SignIns
	upstream   *upstream.Client
	trials     *trial.Tester
	proxy      *proxy.Proxy
	owner      *owner.Owner
	control    *control.Control
	lines      sync.Map // credential id -> *line
	changes    *changes.Feed
	activity   activity.Log
	timeline   *timeline.Recorder
	selfchecks selfcheck.Servers
	exams      doctor.Examinations
	paused     pauser

	local   atomic.Pointer[origin]     // nil until ServeLocal
	public  atomic.Pointer[origin]     // the last one that was served, nil before
	ownAddr atomic.Pointer[netip.Addr] // ours in the world, as a self-test saw it
	own     atomic.Pointer[[]netip.AddrPort]
	tests   selfTests
	reach   *reach.Reach
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
	v, err := vault.Open(vault.Config{
		Dir: cfg.Dir, Mode: keychain.Mode(cfg.Keychain), Helper: cfg.KeychainHelper, Log: cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	s := &Shim{
		version: cfg.Version, dir: cfg.Dir, log: cfg.Log,
		vault:   v,
		changes: changes.New(),
	}
	if err := s.init(cfg); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return s, nil
}

// init makes what hangs on the state. What is random per install is made on
// the first run and kept.
func (s *Shim) init(cfg Config) error {
	idKey, err := s.vault.Random("client id key", 32)
	if err != nil {
		return err
	}
	formKey, err := s.vault.Random("form token key", 32)
	if err != nil {
		return err
	}
	cookie, err := s.vault.Random("cookie name", 4)
	if err != nil {
		return err
	}
	token, err := adminToken(TokenFile(cfg.Dir))
	if err != nil {
		return err
	}
	s.clients = &oauth.Clients{Key: [32]byte(idKey)}
	s.selfchecks.Store = s.vault
	s.tokens = oauth.NewTokens(&s.selfchecks, nil)
	s.tokens.Log = s.log
	s.requests = oauth.NewRequests(nil)
	s.own.Store(&[]netip.AddrPort{})
	s.documents = &cimd.Clients{
		Listeners: func() []netip.AddrPort { return *s.own.Load() },
		OwnHost:   s.isPublicHost, Log: s.log,
	}
	s.upstream = upstream.New(&safedial.Guard{Own: func() []netip.AddrPort { return *s.own.Load() }})
	s.trials = &trial.Tester{Client: s.upstream}
	s.proxy = &proxy.Proxy{Client: s.upstream, Log: s.log}
	s.owner = owner.New(owner.Config{
		Cookie: fmt.Sprintf("k2o_%x", cookie), FormKey: formKey, AdminToken: token.Reveal(),
		Sessions: s.vault, Next: nextPath, MaxForm: maxImport,
	})
	_, paused := s.vault.Setting(control.SettingPaused)
	s.paused.init(paused)
	s.loadActivity()
	s.timeline = s.newTimeline()
	s.control = s.newControl(cfg)
	s.signIns = signin.New(signin.Config{
		Requests: s.requests, Documents: s.documents, Owner: s.owner, Control: s.control, Timeline: s.timeline,
		Changes: s.changes, Prompter: cfg.Prompter, Log: s.log,
		Issuer: s.issuer, Local: func() *oauth.Server { return s.local.Load().as },
	})
	s.initDoctor(cfg)
	return s.initReach(cfg)
}

const (
	settingAddr = "local address"
)

// Close ends what Open began. The listeners must have stopped.
func (s *Shim) Close() error { return s.vault.Close() }

// RememberedAddr is the loopback address that was kept by RememberAddr, or ""
// on a first run.
func (s *Shim) RememberedAddr() string {
	b, _ := s.vault.Setting(settingAddr)
	return string(b)
}

// RememberAddr keeps addr for the next start: clients on this machine know it.
func (s *Shim) RememberAddr(addr string) error {
	return s.vault.SetSetting(settingAddr, []byte(addr))
}

// OwnerLink returns a link that proves who opens it to be the owner, and leads
// to a path of the loopback side. It works once, for 30 seconds. It is empty
// before ServeLocal.
func (s *Shim) OwnerLink(path string) string {
	return s.owner.Link(path)
}

// newControl gives the owner's hand to what there is.
func (s *Shim) newControl(cfg Config) *control.Control {
	return control.New(control.Config{
		Vault: s.vault, Tokens: s.tokens, Trials: s.trials, Timeline: s.timeline, Changes: s.changes,
		Login: cfg.Login, LogLevel: cfg.LogLevel, Dir: cfg.Dir, Log: s.log,
		LocalOrigin: s.localOrigin, PublicOrigin: s.PublicOrigin,
		Pause: s.paused.set, Forget: s.lines.Clear, Steer: func() { s.reach.Drive() }, CloseTunnel: func() { s.reach.Close() },
		RemoveToken: func() error { return removeToken(cfg.Dir) },
	})
}

func (s *Shim) localOrigin() string {
	if o := s.local.Load(); o != nil {
		return o.as.Issuer
	}
	return ""
}

// SetPaused stops every call, or lets calls through again. It survives a
// restart.
func (s *Shim) SetPaused(paused bool) error { return s.control.SetPaused(paused) }

// ServeLocal serves the loopback side on ln until ctx ends or the owner quits,
// then lets calls finish for a few seconds. It calls ready once connections are
// accepted. After the owner has had everything deleted it returns ErrDeleted.
func (s *Shim) ServeLocal(ctx context.Context, ln net.Listener, ready func()) error {
	ap, err := netip.ParseAddrPort(ln.Addr().String())
	if err != nil || !ap.Addr().IsLoopback() {
		return fmt.Errorf("%s is not a loopback address", ln.Addr())
	}
	s.own.Store(&[]netip.AddrPort{ap})
	s.owner.Serve("http://" + ln.Addr().String())
	s.local.Store(s.newLocalOrigin(ap))

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var background sync.WaitGroup
	background.Go(func() { s.tokens.Run(ctx) })
	background.Go(func() { s.watch(ctx) })
	background.Go(func() { s.documents.Run(ctx) })
	s.vault.Start(ctx)
	s.reach.Drive()
	background.Go(func() { s.reach.Run(ctx) })

	srv := newServer(s.Local(), s.log)
	srv.ConnContext = owner.WithPeer
	srv.BaseContext = func(net.Listener) context.Context { return context.WithoutCancel(ctx) }
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	if ready != nil {
		ready()
	}
	select {
	case err = <-done:
	case <-ctx.Done():
		err = s.drain(srv)
		<-done
	case <-s.control.Quitting():
		err = s.drain(srv) // which lets the answer that says so go out
		<-done
	case <-s.control.Deleted():
		// The answer that says so is still on its way.
		if err := s.drain(srv); err != nil {
			s.log.Debug("ended with calls open", "err", err)
		}
		<-done
		err = ErrDeleted
	}
	cancel()
	background.Wait()
	return err
}

// drain lets calls finish. Streams that wait for whatever may come would never
// end by themselves, so they are cut first; their clients come back when we do.
// A call that takes too long is told so, if there is a way to tell.
func (s *Shim) drain(srv *http.Server) error {
	const patience, farewell = 2 * time.Second, time.Second
	s.changes.Close()
	s.paused.cutStreams()
	finished := func(within time.Duration) bool {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		return srv.Shutdown(ctx) == nil
	}
	if finished(patience) {
		return nil
	}
	s.paused.cutCalls()
	if finished(farewell) {
		return nil
	}
	return srv.Close()
}

// newServer has no limit on the time of a whole request: tools may work for
// many minutes, and streams stay open for days.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    256 << 10, // arguments of tools travel in Mcp-Param headers
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// TokenFile is the path of the admin token in a data folder. Open makes it.
func TokenFile(dir string) string { return filepath.Join(dir, "admin-token") }

// adminToken reads the token of the admin API, or makes one. Only the owner's
// user may read it: knowing it proves to be him.
func adminToken(file string) (endpoint.Secret, error) {
	b, err := os.ReadFile(file)
	if err == nil && len(strings.TrimSpace(string(b))) >= 26 {
		return endpoint.NewSecret(strings.TrimSpace(string(b))), os.Chmod(file, 0o600)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return endpoint.Secret{}, fmt.Errorf("the admin token in %s cannot be read: %w", file, err)
	}
	token := "k2o_admin_" + rand.Text()
	if err := atomicfile.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		return endpoint.Secret{}, fmt.Errorf("the admin token cannot be written: %w", err)
	}
	return endpoint.NewSecret(token), nil
}

// RunKeychainHelper answers one request about the keychain, read from in, on
// out. It is what Config.KeychainHelper runs.
func RunKeychainHelper(in io.Reader, out io.Writer) error { return keychain.RunHelper(in, out) }

// A Prompter tells the owner that something waits. It must not block, and must
// not open anything: whoever waits may be a stranger, who chose the moment.
type Prompter interface {
	// Prompt is called when requests begin to wait for the owner, and with a
	// zero Prompt once none waits any more. It is not called for each request
	// that comes in between.
	Prompt(api.Prompt)
}
