package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/cli"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/instance"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/licenses"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/listen"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/logfile"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/sample"
	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/external"
)

// appOptions are the flags of the program itself, as opposed to its commands.
type appOptions struct {
	addr         string // explicit; "" means the remembered or the default one
	keychain     string // "" means the keychain, and memory on a first run without one
	tunnel       string
	publicURL    string
	publicPreset string
	publicAddr   string
	logLevel     string
	atLogin      bool       // login started the program; of the desktop program alone
	login        shim.Login // not a flag; nil where login cannot start programs
}

func (o *appOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVar(&o.addr, "addr", "", "the loopback `address` to serve on, this time only; :0 picks a free port\n(default the address of the first run: "+listen.DefaultAddr+" if it was free)")
	fs.StringVar(&o.keychain, "keychain", "", "where the encryption key is kept: `os|file|memory`\n(default as in the last run; at first os, the system's keychain)")
	fs.StringVar(&o.tunnel, "tunnel", "auto", "how apps on the internet connect: `auto|ngrok|external|off`\n(auto is what you last turned on)")
	fs.StringVar(&o.publicURL, "public-url", "", "the public `URL` of your own tunnel, or the ngrok domain to use")
	fs.StringVar(&o.publicPreset, "public-preset", "", "the program that makes your own tunnel: `tailscale|cloudflared|caddy`\n(default what you last chose)")
	fs.StringVar(&o.publicAddr, "public-addr", "", "the loopback `address` your own tunnel leads to\n(default "+external.DefaultAddr+")")
	fs.StringVar(&o.logLevel, "log-level", api.LogInfo, "log level: `debug|info|warn|error`")
	cli.WithEnv(fs, "addr", "keychain", "tunnel", "public-url", "public-preset", "public-addr", "log-level")
}

// check finds what is wrong with the options before anything is changed.
func (o *appOptions) check() error {
	if o.addr != "" {
		if _, err := listen.ParseAddr(o.addr); err != nil {
			return cli.Usage("only this computer can be served: use --addr 127.0.0.1:7450, or --addr :0 for a free port", "--addr %s: %w", o.addr, err)
		}
	}
	if o.keychain != "" && !slices.Contains([]string{api.ModeOS, api.ModeFile, api.ModeMemory}, o.keychain) {
		return cli.Usage("use os, file or memory", "--keychain %s: no such place", o.keychain)
	}
	if err := o.checkTunnel(); err != nil {
		return err
	}
	if _, ok := logLevels[o.logLevel]; !ok {
		return cli.Usage("use debug, info, warn or error", "--log-level %s: no such level", o.logLevel)
	}
	return nil
}

// checkTunnel checks the options of the tunnel.
func (o *appOptions) checkTunnel() error {
	if !slices.Contains([]string{"auto", api.TunnelNgrok, api.TunnelExternal, api.TunnelOff}, o.tunnel) {
		return cli.Usage("use auto, ngrok, external or off", "--tunnel %s: no such tunnel", o.tunnel)
	}
	if o.publicURL != "" {
		if o.tunnel != api.TunnelNgrok && o.tunnel != api.TunnelExternal {
			return cli.Usage("add --tunnel external for your own tunnel, or --tunnel ngrok for a domain in your ngrok account", "--public-url needs --tunnel")
		}
		if _, err := tunnel.ParseOrigin(o.publicURL); err != nil {
			return cli.Usage("use the form https://mcp.example.com, with nothing after the host", "--public-url %s: %w", o.publicURL, err)
		}
	}
	if o.publicPreset != "" {
		if o.tunnel != api.TunnelExternal {
			return cli.Usage("add --tunnel external", "--public-preset needs --tunnel external")
		}
		if err := external.CheckPreset(o.publicPreset); err != nil {
			return cli.Usage("leave --public-preset out if your tunnel's program is not among them", "--public-preset: %w", err)
		}
	}
	if o.publicAddr != "" {
		if err := external.CheckAddr(o.publicAddr); err != nil {
			return cli.Usage("for example: --public-addr "+external.DefaultAddr, "--public-addr: %w", err)
		}
	}
	return nil
}

// checkApart checks that the owner's tunnel does not lead to addr, the address for
// apps on this computer: what serves one must not serve the other. Of 127.0.0.1
// and [::1] we hold both at one port.
func (o *appOptions) checkApart(addr string) error {
	publicAddr := o.publicAddr
	if publicAddr == "" && o.tunnel == api.TunnelExternal {
		publicAddr = external.DefaultAddr
	}
	public, err := listen.ParseAddr(publicAddr)
	local, err2 := netip.ParseAddrPort(addr)
	if err != nil || err2 != nil || public.Port() != local.Port() {
		return nil
	}
	both := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	if public != local {
		if slices.Contains(both, public.Addr()) && slices.Contains(both, local.Addr()) {
			return cli.Usage("choose another port, for example: --public-addr 127.0.0.1:7452", "--public-addr %s is at the port that Key2OAuth holds at 127.0.0.1 and at [::1], for you and for apps on this computer", publicAddr)
		}
		return nil
	}
	return cli.Usage("choose another one, for example: --public-addr 127.0.0.1:7452", "--public-addr %s is the address that Key2OAuth serves for you and for apps on this computer", publicAddr)
}

var logLevels = map[string]slog.Level{
	api.LogDebug: slog.LevelDebug,
	api.LogInfo:  slog.LevelInfo,
	api.LogWarn:  slog.LevelWarn,
	api.LogError: slog.LevelError,
}

func (p *program) serveCommand() *cobra.Command {
	var o appOptions
	cmd := &cobra.Command{
		Use:   "serve [flags]",
		Short: "Run Key2OAuth without a tray icon",
		Long: `Run Key2OAuth without a tray icon, until Ctrl-C, SIGTERM or SIGHUP.

Once it is ready, it prints one line to standard output:

  ready local=http://127.0.0.1:7450 public=- dashboard=http://127.0.0.1:7450/`,
		Example: `  key2oauth serve
  key2oauth serve --addr :0 --data-dir /tmp/try --keychain memory`,
		Args: cli.Wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := p.serve(cmd.Context(), o, nil, nil)
			if !errors.Is(err, instance.ErrRunning) {
				return err
			}
			return p.secondServe()
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (p *program) secondServe() error {
	const hint = "see how it is doing with: key2oauth status"
	info, err := instance.Find(p.DataDir)
	if err != nil {
		return cli.Failed(fmt.Errorf("another program is using the data folder %s", p.DataDir), hint)
	}
	return cli.Failed(fmt.Errorf("Key2OAuth is already running at %s (data folder %s, pid %d)", info.LocalOrigin, p.DataDir, info.PID), hint)
}

// serve runs Key2OAuth until ctx ends. It returns instance.ErrRunning if it is
// already running on the data folder. The prompter may be nil. If ready is not
// nil, it is called once the local side is served, on a goroutine that serve
// waits for.
func (p *program) serve(ctx context.Context, o appOptions, prompter shim.Prompter, ready func(*shim.Shim)) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	// A log without a reader must not end the program, as a broken pipe does by
	// default.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	lock, err := instance.Acquire(p.DataDir)
	if errors.Is(err, instance.ErrRunning) {
		return err
	}
	if err != nil {
		return cli.Failed(fmt.Errorf("the data folder %s cannot be used: %w", p.DataDir, err), "it must be a folder you can write to; choose another one with --data-dir")
	}
	defer lock.Release()

	log := p.logger(o)
	p.keepLog(log)
	defer func() {
		if err != nil {
			log.Error("Key2OAuth ends", "err", err)
		}
		p.tee.Drop()
	}()
	// A port of 0 is chosen here, and not where the tunnel listens: pages and the
	// tunnel's own program have to name it, also while the tunnel is off.
	if o.publicAddr, err = listen.Free(o.publicAddr); err != nil {
		return err
	}
	s, err := p.openShim(o, prompter, log, lock.Renew)
	if err != nil {
		return err
	}
	ln, err := p.listenLocal(o, s)
	if err != nil {
		return errors.Join(err, s.Close())
	}

	origin := "http://" + ln.Addr().String()
	info := instance.Info{PID: os.Getpid(), LocalOrigin: origin, Version: version()}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var after sync.WaitGroup
	err = s.ServeLocal(ctx, ln, func() {
		if err := lock.Publish(info); err != nil {
			cancel(fmt.Errorf("the data folder %s cannot be used: %w", p.DataDir, err))
			return
		}
		outside := "-"
		if p := s.Status().PublicOrigin; p != nil {
			outside = *p
		}
		fmt.Fprintf(p.Stdout, "ready local=%s public=%s dashboard=%s/\n", origin, outside, origin)
		if ready != nil {
			after.Go(func() { ready(s) })
		}
		after.Go(func() { p.sayWithout(ctx, s, outside) })
	})
	cancel(nil)
	after.Wait()
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	if errors.Is(err, shim.ErrDeleted) {
		return p.leaveNothing(s, lock)
	}
	return errors.Join(err, s.Close())
}

// openShim opens the state in the data folder. rescue is called when the folder
// was lost and made again.
func (p *program) openShim(o appOptions, prompter shim.Prompter, log *slog.Logger, rescue func() error) (*shim.Shim, error) {
	edge, err := readTestEdge()
	if err != nil {
		return nil, err
	}
	s, err := shim.Open(shim.Config{
		Rescue:         rescue,
		Dir:            p.DataDir,
		Version:        version(),
		RuntimeNote:    p.RuntimeNote,
		Keychain:       o.keychain,
		KeychainHelper: keychainHelper(),
		Tunnel:         p.tunnelConfig(o, edge, log),
		Prompter:       prompter,
		Outside:        edge.client,
		Login:          o.login,
		LogLevel:       &p.level,
		LogFile:        filepath.Join(p.DataDir, logfile.Name),
		Licenses:       func(w io.Writer) error { return licenses.Write(w, runtime.GOOS) },
		Sample:         func(key string) http.Handler { return sample.RequireKey(key, sample.Server(version())) },
		Log:            log,
	})
	if e, ok := errors.AsType[*tunnel.WishError](err); ok {
		return nil, cli.Usage("add --public-url https://mcp.example.com", "--tunnel %s: %w", o.tunnel, e)
	}
	if err != nil {
		return nil, cli.Failed(err, "nothing was changed; choose another data folder with --data-dir")
	}
	return s, nil
}

// leaveNothing removes what is left after the owner deleted everything.
func (p *program) leaveNothing(s *shim.Shim, lock *instance.Lock) error {
	left, err := p.forgetLogin()
	if err = errors.Join(s.Close(), p.tee.Drop(), logfile.Remove(p.DataDir), lock.Destroy(), err); err != nil {
		return err
	}
	if left != "" {
		p.Remark("%s", left)
	}
	p.Remark("everything was deleted, and Key2OAuth has quit")
	return nil
}

// logger writes to standard error, and to the log in the data folder once that
// is known to be ours, at the level in o.
func (p *program) logger(o appOptions) *slog.Logger {
	p.level.Set(logLevels[o.logLevel])
	return slog.New(slog.NewTextHandler(&p.tee, &slog.HandlerOptions{Level: &p.level}))
}

// keepLog begins the log in the data folder, which this program has locked. A
// folder without room for a log is no reason not to run.
func (p *program) keepLog(log *slog.Logger) {
	l, err := logfile.Open(p.DataDir)
	if err != nil {
		log.Warn("no log is kept", "err", err)
		return
	}
	p.tee.Keep(l)
	earlier, err := logfile.Crashes(p.DataDir)
	if err != nil {
		log.Warn("a crash would leave no trace", "err", err)
	}
	if earlier != "" {
		log.Warn("the last run ended with a crash; please report it with this file", "file", earlier)
	}
}

// keychainHelper is the command that asks the keychain in a child process. On
// Linux there is no other way to give up on a keychain that waits for a prompt.
func keychainHelper() []string {
	if runtime.GOOS != "linux" {
		return nil
	}
	exe, err := os.Executable()
	if err != nil {
		return nil // then it is asked in this process
	}
	return []string{exe, "keychain-helper"}
}

// listenOn listens on addr. hint says what to do where that fails.
func listenOn(addr, hint string) (net.Listener, error) {
	ln, err := listen.On(addr)
	if err != nil {
		return nil, cli.Failed(err, hint)
	}
	return ln, nil
}

// listenLocal listens for you and for apps on this computer.
func (p *program) listenLocal(o appOptions, s *shim.Shim) (net.Listener, error) {
	ln, err := p.listen(o.addr, s)
	if err != nil {
		return nil, err
	}
	if err := o.checkApart(ln.Addr().String()); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	ln, taken := listen.Both(ln)
	if taken != nil {
		p.Remark("%v, so an app that is given the name localhost may reach that program: use the address with 127.0.0.1", taken)
	}
	return ln, nil
}

// listen uses the explicit address, else the one that apps on this computer
// already use, else that of a first run.
func (p *program) listen(explicit string, s *shim.Shim) (net.Listener, error) {
	if explicit != "" {
		return listenOn(explicit, "choose another address with --addr, or a free port with --addr :0")
	}
	if addr := s.RememberedAddr(); addr != "" {
		return listenOn(addr, "apps on this computer use this address, so Key2OAuth does not change it: free it, or choose another one for this time with --addr 127.0.0.1:PORT")
	}
	ln, err := listenOn(listen.DefaultAddr, "")
	if err != nil {
		taken := err
		if ln, err = listenOn("127.0.0.1:0", "choose an address with --addr"); err != nil {
			return nil, err
		}
		p.Remark("%v; this first run uses %s, and later runs keep it", taken, ln.Addr())
	}
	if err := s.RememberAddr(ln.Addr().String()); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

// sayWithout says what is missing, and how to continue.
func (p *program) sayWithout(ctx context.Context, s *shim.Shim, public string) {
	if public == "-" {
		p.Remark("only apps on this computer can connect")
	}
	if words := keychainWords(ctx, s); words != "" {
		p.Remark("%s", words)
	}
	switch {
	case ctx.Err() != nil:
	case cli.IsTerminal(p.Stderr):
		p.Remark("Open %s (works once). Quit with Ctrl-C.", s.StartLink())
	default:
		p.Remark("open the Key2OAuth window with: key2oauth open; quit with Ctrl-C")
	}
}

// sayTunnel says how the tunnel is, each thing once.
func (p *program) sayTunnel(listener string) func(tunnel.Status, string) {
	var last string
	return func(st tunnel.Status, test string) {
		var words string
		switch st.State {
		case tunnel.Online:
			words = "apps on the internet can connect at " + st.Origin
			if test != "" {
				words = "the public address is " + st.Origin
			}
			if st.Provider == tunnel.ProviderExternal {
				words += ", through your tunnel to http://" + listener
			}
			if test != "" {
				words += ", but: " + test
			}
		case tunnel.Failed, tunnel.Retrying:
			words = "tunnel: " + strings.TrimSpace(st.Words+" "+st.Next)
		}
		if words != "" && words != last {
			p.Remark("%s", cli.Printable(words))
		}
		last = words
	}
}

// keychainWords waits until it is known where the encryption key is, and
// returns what a person should know about that.
func keychainWords(ctx context.Context, s *shim.Shim) string {
	const patience = 30 * time.Second // a keychain that takes longer shows in status
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var k api.Keychain
	s.Watch(waiting, func() {
		if k = s.Status().Keychain; k.State != api.KeychainWaiting {
			cancel()
		}
	})
	switch {
	case ctx.Err() != nil || k.State == api.KeychainWaiting || k.State == api.KeychainReady:
		return ""
	case k.Usable(): // kept in a file or nowhere: in mode "os" too, on a first run
		return "WARNING: " + cli.Printable(k.Words)
	}
	return strings.TrimSuffix("keychain: "+cli.Printable(k.Words), ": ")
}
