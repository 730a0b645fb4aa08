package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/instance"
	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/tunnel"
)

// appOptions are the flags of the app.
type appOptions struct {
	addr       string // explicit; "" means the remembered or the default one
	keychain   string // "" means the keychain, and memory on a first run without one
	tunnel     string
	publicURL  string
	publicAddr string
	logLevel   string
	atLogin    bool       // login started the program; of the desktop app alone
	login      shim.Login // not a flag; nil where login can start nothing
}

func (o *appOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVar(&o.addr, "addr", "", "serve on this loopback `address`, this once; :0 picks a free port\n(default the address of the first run, "+defaultAddr+" if it was free)")
	fs.StringVar(&o.keychain, "keychain", "", "keep the encryption key in the keychain, a file or nowhere: `os|file|memory`\n(default os)")
	fs.StringVar(&o.tunnel, "tunnel", "auto", "how clients on the internet reach the app: `auto|ngrok|external|off`\n(auto is what you last turned on)")
	fs.StringVar(&o.publicURL, "public-url", "", "the public `URL` of your own tunnel, or the ngrok domain to ask for")
	fs.StringVar(&o.publicAddr, "public-addr", "", "the loopback `address` that your own tunnel leads to\n(default "+tunnel.DefaultAddr+")")
	fs.StringVar(&o.logLevel, "log-level", api.LogInfo, "log this and worse: `debug|info|warn|error`")
	withEnv(fs, "addr", "keychain", "tunnel", "public-url", "public-addr", "log-level")
}

// check finds what is wrong with the options before anything is touched.
func (o *appOptions) check() error {
	if o.addr != "" {
		if _, err := parseAddr(o.addr); err != nil {
			return usage("the app serves this machine alone: --addr 127.0.0.1:7450, or --addr :0 for a free port", "--addr %s: %w", o.addr, err)
		}
	}
	if o.keychain != "" && !slices.Contains([]string{api.ModeOS, api.ModeFile, api.ModeMemory}, o.keychain) {
		return usage("it is one of os, file, memory", "--keychain %s is unknown", o.keychain)
	}
	if err := o.checkTunnel(); err != nil {
		return err
	}
	if _, ok := logLevels[o.logLevel]; !ok {
		return usage("it is one of debug, info, warn, error", "--log-level %s is unknown", o.logLevel)
	}
	return nil
}

// checkTunnel checks what belongs to the tunnel.
func (o *appOptions) checkTunnel() error {
	if !slices.Contains([]string{"auto", api.TunnelNgrok, api.TunnelExternal, api.TunnelOff}, o.tunnel) {
		return usage("it is one of auto, ngrok, external, off", "--tunnel %s is unknown", o.tunnel)
	}
	if o.publicURL != "" {
		if o.tunnel != api.TunnelNgrok && o.tunnel != api.TunnelExternal {
			return usage("say which tunnel has it: --tunnel external for your own, --tunnel ngrok for a domain of your account", "--public-url without a tunnel")
		}
		if _, err := tunnel.ParseOrigin(o.publicURL); err != nil {
			return usage("write it as https://mcp.example.com, with nothing after the host", "--public-url %s: %w", o.publicURL, err)
		}
	}
	if o.publicAddr != "" {
		if err := tunnel.CheckAddr(o.publicAddr); err != nil {
			return usage("for example --public-addr "+tunnel.DefaultAddr, "--public-addr: %w", err)
		}
	}
	return nil
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
		Short: "Run the app without a tray",
		Long: `Run the app without a tray, until it is ended by Ctrl-C or SIGTERM.

When it serves, it prints one line to standard output:

  ready local=http://127.0.0.1:7450 public=- dashboard=http://127.0.0.1:7450/`,
		Example: `  key2oauth serve
  key2oauth serve --addr :0 --data-dir /tmp/try --keychain memory`,
		Args: wants(),
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
	const hint = `"key2oauth status" asks the running one; another --data-dir runs a second one`
	info, err := instance.Find(p.dataDir)
	if err != nil {
		return failed(fmt.Errorf("another program holds the data folder %s", p.dataDir), hint)
	}
	return failed(fmt.Errorf("already running on the data folder %s: %s (pid %d)", p.dataDir, info.LocalOrigin, info.PID), hint)
}

// serve runs the app until ctx ends. It returns instance.ErrRunning if another
// app has the data folder. The prompter may be nil. If ready is not nil it is
// called once the app serves, on a goroutine that serve waits for.
func (p *program) serve(ctx context.Context, o appOptions, prompter shim.Prompter, ready func(*shim.Shim)) error {
	if err := o.check(); err != nil {
		return err
	}
	lock, err := instance.Acquire(p.dataDir)
	if errors.Is(err, instance.ErrRunning) {
		return err
	}
	if err != nil {
		return failed(fmt.Errorf("the data folder %s cannot be used: %w", p.dataDir, err), "it must be a folder that you may write to; --data-dir chooses another")
	}
	defer lock.Release()

	log := p.logger(o)
	edge, err := readTestEdge()
	if err != nil {
		return err
	}
	s, err := shim.Open(shim.Config{
		Dir:            p.dataDir,
		Version:        version(),
		Keychain:       o.keychain,
		KeychainHelper: keychainHelper(),
		Tunnel:         p.tunnelConfig(o, edge, log),
		Prompter:       prompter,
		Outside:        edge.client,
		Login:          o.login,
		LogLevel:       &p.level,
		Log:            log,
	})
	if e, ok := errors.AsType[*tunnel.WishError](err); ok {
		return usage("name it with --public-url https://mcp.example.com", "--tunnel %s: %w", o.tunnel, e)
	}
	if err != nil {
		return failed(err, "nothing was changed; --data-dir chooses another data folder")
	}
	ln, err := p.listen(o.addr, s)
	if err != nil {
		return errors.Join(err, s.Close())
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var after sync.WaitGroup
	err = s.ServeLocal(ctx, ln, func() {
		origin := "http://" + ln.Addr().String()
		if err := lock.Publish(instance.Info{PID: os.Getpid(), LocalOrigin: origin, Version: version()}); err != nil {
			cancel(fmt.Errorf("the data folder %s cannot be used: %w", p.dataDir, err))
			return
		}
		outside := cmp.Or(s.PublicOrigin(), "-")
		fmt.Fprintf(p.stdout, "ready local=%s public=%s dashboard=%s/\n", origin, outside, origin)
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

// leaveNothing removes what is left after the owner has had everything deleted.
func (p *program) leaveNothing(s *shim.Shim, lock *instance.Lock) error {
	left, err := p.forgetLogin()
	if err = errors.Join(s.Close(), lock.Destroy(), err); err != nil {
		return err
	}
	if left != "" {
		p.remark("%s", left)
	}
	p.remark("everything was deleted; the app has ended")
	return nil
}

// logger writes to standard error what o asks for.
func (p *program) logger(o appOptions) *slog.Logger {
	p.level.Set(logLevels[o.logLevel])
	return slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: &p.level}))
}

// keychainHelper is how the app asks the keychain in a child process: on Linux
// a keyring that waits for a prompt cannot be given up otherwise.
func keychainHelper() []string {
	if runtime.GOOS != "linux" {
		return nil
	}
	exe, err := os.Executable()
	if err != nil {
		return nil // asked in this process, then
	}
	return []string{exe, "keychain-helper"}
}

// listen takes the explicit address, else the one that clients on this machine
// already know, else that of a first run.
func (p *program) listen(explicit string, s *shim.Shim) (net.Listener, error) {
	if explicit != "" {
		return listenOn(explicit, "--addr chooses another address; --addr :0 picks a free port")
	}
	if addr := s.RememberedAddr(); addr != "" {
		return listenOn(addr, "clients on this machine know this address, so no other is taken silently: free it, or choose another for this once with --addr 127.0.0.1:PORT")
	}
	ln, err := listenOn(defaultAddr, "")
	if err != nil {
		taken := err
		if ln, err = listenOn("127.0.0.1:0", "--addr chooses an address"); err != nil {
			return nil, err
		}
		p.remark("%v; this first run takes %s, and later ones keep it", taken, ln.Addr())
	}
	if err := s.RememberAddr(ln.Addr().String()); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

// sayWithout tells what the app does without.
func (p *program) sayWithout(ctx context.Context, s *shim.Shim, public string) {
	if public == "-" {
		p.remark("no tunnel is open: clients on this machine can connect, others cannot")
	}
	if words := keychainWords(ctx, s); words != "" {
		p.remark("%s", words)
	}
	if ctx.Err() == nil {
		p.remark(`"key2oauth open" opens the dashboard; Ctrl-C ends the app`)
	}
}

// sayTunnel tells how the tunnel is, each thing once.
func (p *program) sayTunnel() func(api.TunnelStatus) {
	var last string
	return func(st api.TunnelStatus) {
		var words string
		switch st.State {
		case api.TunnelOnline:
			words = "clients on the internet reach the app at " + st.Origin
			if st.Listener != "" {
				words += ", by your tunnel to " + st.Listener
			}
			if st.Test != "" {
				words += "; but: " + st.Test
			}
		case api.TunnelFailed, api.TunnelRetrying:
			words = "tunnel: " + strings.TrimSpace(st.Words+" "+st.Next)
		}
		if words != "" && words != last {
			p.remark("%s", printable(words))
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
	k := s.SettledKeychain(waiting)
	switch {
	case ctx.Err() != nil || k.State == api.KeychainWaiting || k.State == api.KeychainReady:
		return ""
	case k.Usable(): // kept in a file or nowhere: in mode "os" too, on a first run
		return "WARNING: " + printable(k.Words)
	}
	return strings.TrimSuffix("keychain: "+printable(k.Words), ": ")
}
