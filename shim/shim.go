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

	"github.com/key2oauth/key2oauth/shim/internal/activity"
	"github.com/key2oauth/key2oauth/shim/internal/cimd"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/proxy"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
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
	Log            *slog.Logger // nil means slog.Default()
}

// A Shim is the product without tray and tunnel: an authorization server and a
// reverse proxy, over one state.
type Shim struct {
	version    string
	log        *slog.Logger
	vault      *vault.Vault
	clients    *oauth.Clients
	documents  *cimd.Clients
	tokens     *oauth.Tokens
	requests   *oauth.Requests
	upstream   *upstream.Client
	proxy      *proxy.Proxy
	adminToken endpoint.Secret
	owner      *owner
	held       *held
	lines      sync.Map // credential id -> *line
	changes    changes
	activity   activity.Log
	paused     pauser

	local atomic.Pointer[origin] // nil until ServeLocal
	own   atomic.Pointer[[]netip.AddrPort]
	known atomic.Pointer[approved] // nil: to be read
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
		Dir: cfg.Dir, Mode: vault.Mode(cfg.Keychain), Helper: cfg.KeychainHelper, Log: cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	s := &Shim{version: cfg.Version, log: cfg.Log, vault: v, held: newHeld()}
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
	if s.adminToken, err = adminToken(TokenFile(cfg.Dir)); err != nil {
		return err
	}
	s.clients = &oauth.Clients{Key: [32]byte(idKey)}
	s.tokens = oauth.NewTokens(s.vault, nil)
	s.tokens.Log = s.log
	s.requests = oauth.NewRequests(nil)
	s.own.Store(&[]netip.AddrPort{})
	s.documents = &cimd.Clients{
		Listeners: func() []netip.AddrPort { return *s.own.Load() },
		OwnHost:   s.isPublicHost, Log: s.log,
	}
	s.upstream = upstream.New(&safedial.Guard{Own: func() []netip.AddrPort { return *s.own.Load() }})
	s.proxy = &proxy.Proxy{Client: s.upstream, Log: s.log}
	s.owner = &owner{
		cookie: fmt.Sprintf("k2o_%x", cookie), key: formKey, store: s.vault,
		now: time.Now, tickets: make(map[[32]byte]*ticket),
	}
	_, paused := s.vault.Setting(settingPaused)
	s.paused.init(paused)
	s.loadActivity()
	return nil
}

const (
	settingPaused = "paused"
	settingAddr   = "local address"
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

// PublicOrigin is the origin that the world reaches us at, or "" while there
// is none.
func (s *Shim) PublicOrigin() string { return "" }

// OwnerLink returns a link that proves who opens it to be the owner. It works
// once, for 30 seconds. It is empty before ServeLocal.
func (s *Shim) OwnerLink() string {
	if s.local.Load() == nil {
		return ""
	}
	return s.owner.link("/")
}

// ServeLocal serves the loopback side on ln until ctx ends, then lets calls
// finish for a few seconds. It calls ready once connections are accepted.
func (s *Shim) ServeLocal(ctx context.Context, ln net.Listener, ready func()) error {
	ap := addrPort(ln.Addr())
	if !ap.Addr().IsLoopback() {
		return fmt.Errorf("%s is not a loopback address", ln.Addr())
	}
	s.own.Store(&[]netip.AddrPort{ap})
	s.owner.origin = "http://" + ln.Addr().String()
	s.local.Store(s.newLocalOrigin(ap))

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var background sync.WaitGroup
	background.Go(func() { s.tokens.Run(ctx) })
	background.Go(func() { s.watch(ctx) })
	background.Go(func() { s.documents.Run(ctx) })
	s.vault.Start(ctx)

	srv := newServer(s.Local(), s.log)
	srv.ConnContext = withPeer
	srv.BaseContext = func(net.Listener) context.Context { return context.WithoutCancel(ctx) }
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	if ready != nil {
		ready()
	}
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = s.drain(srv)
		<-done
	}
	cancel()
	background.Wait()
	return err
}

// drain lets calls finish. Streams would never end by themselves, so they are
// cut first; their clients come back when we do.
func (s *Shim) drain(srv *http.Server) error {
	const patience = 3 * time.Second
	s.changes.close()
	s.paused.cut()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return srv.Close()
	}
	return nil
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
	tmp := file + ".new"
	if err := os.WriteFile(tmp, []byte(token+"\n"), 0o600); err != nil {
		return endpoint.Secret{}, fmt.Errorf("the admin token cannot be written: %w", err)
	}
	if err := os.Rename(tmp, file); err != nil {
		return endpoint.Secret{}, fmt.Errorf("the admin token cannot be written: %w", err)
	}
	return endpoint.NewSecret(token), nil
}

// RunKeychainHelper answers one request about the keychain, read from in, on
// out. It is what Config.KeychainHelper runs.
func RunKeychainHelper(in io.Reader, out io.Writer) error { return vault.RunHelper(in, out) }
