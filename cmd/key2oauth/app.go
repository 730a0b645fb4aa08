package main

import (
	"context"
	"encoding/json"
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
)

// appOptions are the flags of the app.
type appOptions struct {
	addr       string // explicit; "" means the remembered or the default one
	keychain   string // "" means the keychain, and memory on a first run without one
	tunnel     string
	publicURL  string
	publicAddr string
	logLevel   string
}

func (o *appOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVar(&o.addr, "addr", "", "serve on this loopback `address`, this once; :0 picks a free port\n(default the address of the first run, "+defaultAddr+" if it was free)")
	fs.StringVar(&o.keychain, "keychain", "", "keep the encryption key in the keychain, a file or nowhere: `os|file|memory`\n(default os)")
	fs.StringVar(&o.tunnel, "tunnel", "auto", "reach the internet: `auto|off`; this version has no tunnel yet")
	fs.StringVar(&o.publicURL, "public-url", "", "the public `URL` of a tunnel of your own")
	fs.StringVar(&o.publicAddr, "public-addr", "", "the loopback `address` that a tunnel of your own leads to")
	fs.StringVar(&o.logLevel, "log-level", "info", "log this and worse: `debug|info|warn|error`")
	withEnv(fs, "addr", "keychain", "tunnel", "public-url", "public-addr", "log-level")
	fs.MarkHidden("public-url") // until there is a tunnel
	fs.MarkHidden("public-addr")
}

// check finds what is wrong with the options before anything is touched.
func (o *appOptions) check() error {
	if o.addr != "" {
		if _, err := parseAddr(o.addr); err != nil {
			return usage("the app serves this machine alone: --addr 127.0.0.1:7450, or --addr :0 for a free port", "--addr %s: %w", o.addr, err)
		}
	}
	if o.keychain != "" && !slices.Contains([]string{"os", "file", "memory"}, o.keychain) {
		return usage("it is one of os, file, memory", "--keychain %s is unknown", o.keychain)
	}
	const noTunnel = "leave it out; clients on this machine connect without a tunnel"
	switch o.tunnel {
	case "auto", "off":
	case "ngrok", "external":
		return usage(noTunnel, "--tunnel %s: this version has no tunnel yet", o.tunnel)
	default:
		return usage("it is auto or off", "--tunnel %s is unknown", o.tunnel)
	}
	if o.publicURL != "" {
		return usage(noTunnel, "--public-url: this version has no tunnel yet")
	}
	if o.publicAddr != "" {
		return usage(noTunnel, "--public-addr: this version has no tunnel yet")
	}
	if _, ok := logLevels[o.logLevel]; !ok {
		return usage("it is one of debug, info, warn, error", "--log-level %s is unknown", o.logLevel)
	}
	return nil
}

var logLevels = map[string]slog.Level{
	"debug": slog.LevelDebug,
	"info":  slog.LevelInfo,
	"warn":  slog.LevelWarn,
	"error": slog.LevelError,
}

// desktop is the program without a command.
func (p *program) desktop(ctx context.Context, o appOptions) error {
	err := p.serve(ctx, o, func(context.Context, string) {
		p.remark("running without a tray: this version has none")
	})
	if !errors.Is(err, instance.ErrRunning) {
		return err
	}
	c, err := p.connect()
	if err != nil {
		return err
	}
	p.remark("already running at %s", c.origin)
	return p.openDashboard(ctx, c, false)
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
			err := p.serve(cmd.Context(), o, nil)
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
// app has the data folder. If ready is not nil it is called once the app
// serves, on a goroutine that serve waits for.
func (p *program) serve(ctx context.Context, o appOptions, ready func(ctx context.Context, origin string)) error {
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

	log := slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: logLevels[o.logLevel]}))
	s, err := shim.Open(shim.Config{
		Dir:            p.dataDir,
		Version:        version(),
		Keychain:       o.keychain,
		KeychainHelper: keychainHelper(),
		Log:            log,
	})
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
		public := s.PublicOrigin()
		if public == "" {
			public = "-"
		}
		fmt.Fprintf(p.stdout, "ready local=%s public=%s dashboard=%s/\n", origin, public, origin)
		if ready != nil {
			after.Go(func() { ready(ctx, origin) })
		}
		after.Go(func() { p.sayWithout(ctx, public) })
	})
	cancel(nil)
	after.Wait()
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return errors.Join(err, s.Close())
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
func (p *program) sayWithout(ctx context.Context, public string) {
	if public == "-" {
		p.remark("no tunnel is open: clients on this machine can connect, others cannot")
	}
	if words := p.keychainWords(ctx); words != "" {
		p.remark("%s", words)
	}
	if ctx.Err() == nil {
		p.remark(`"key2oauth open" opens the dashboard; Ctrl-C ends the app`)
	}
}

// keychainWords waits until it is known where the encryption key is, and
// returns what a person should know about that.
func (p *program) keychainWords(ctx context.Context) string {
	c, err := p.connect()
	if err != nil {
		return ""
	}
	const patience = 30 * time.Second // a keychain that takes longer shows in status
	for wait, deadline := 20*time.Millisecond, time.Now().Add(patience); time.Now().Before(deadline); wait = min(2*wait, time.Second) {
		var status struct {
			Keychain struct{ Mode, State, Words string }
		}
		body, err := c.get(ctx, "/api/status")
		if err != nil || json.Unmarshal(body, &status) != nil {
			return ""
		}
		k := status.Keychain
		switch {
		case k.State == "waiting":
		case k.State == "memory" || k.State == "file": // in mode "os" too, on a first run
			return "WARNING: " + printable(k.Words)
		case k.State == "ready":
			return ""
		default:
			return strings.TrimSuffix("keychain: "+printable(k.Words), ": ")
		}
		select {
		case <-ctx.Done():
			return ""
		case <-time.After(wait):
		}
	}
	return ""
}
