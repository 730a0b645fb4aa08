package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/key2oauth/key2oauth/tray/traytest"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// A form is what runs besides the listener.
type form struct {
	name         string
	tray, tunnel bool
}

// startForm starts the program in a form: with an icon in a panel, on its own
// session bus, and with a tunnel to a stand-in for ngrok's service, which
// speaks ngrok's protocol. Only a build for tests connects to a stand-in. end
// ends everything.
func (b *bench) startForm(dir string, f form) (p *process, end func(), err error) {
	t := new(asTest)
	defer func() {
		if err != nil {
			t.end()
		}
	}()
	defer t.catch(&err)
	exe, args, env := b.built, []string{"--addr", "127.0.0.1:0", "--keychain", "file"}, []string{"DISPLAY=", "WAYLAND_DISPLAY="}
	var watcher *traytest.Watcher
	if f.tray {
		bus := traytest.StartBus(t)
		watcher = bus.StartWatcher(t)
		env = append(env, bus.Env()...)
	} else {
		args = append([]string{"serve"}, args...)
	}
	if f.tunnel {
		if exe, err = b.buildForTests(); err != nil {
			return nil, nil, err
		}
		edge := tunneltest.Start(t, tunneltest.Config{})
		ca, err := edge.CAFile(b.dir)
		if err != nil {
			return nil, nil, err
		}
		env = append(env, "KEY2OAUTH_TEST_EDGE="+edge.Addr(), "KEY2OAUTH_TEST_EDGE_CA="+ca,
			"NGROK_AUTHTOKEN=2benchAuthtoken0000000000000_0000000000000000")
		args = append(args, "--tunnel", "ngrok")
	}
	if p, err = b.start(env, exe, append(args, "--data-dir", dir)...); err != nil {
		return nil, nil, err
	}
	t.Cleanup(p.stop)
	if f.tray {
		watcher.Icon(t)
	}
	if f.tunnel {
		if err := p.waitOnline(); err != nil {
			return nil, nil, err
		}
	}
	return p, t.end, nil
}

// waitOnline waits until the tunnel is open.
func (p *process) waitOnline() error {
	var status struct {
		Tunnel struct{ State, Words string }
	}
	for range 300 {
		if err := p.api(http.MethodGet, "/api/status", nil, &status); err != nil {
			return err
		}
		if status.Tunnel.State == "online" {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("the tunnel does not open: %s, %s", status.Tunnel.State, status.Tunnel.Words)
}

// buildForTests builds the program that connects to stand-ins.
func (b *bench) buildForTests() (string, error) {
	exe := filepath.Join(b.dir, "key2oauth-test")
	if _, err := os.Stat(exe); err == nil {
		return exe, nil
	}
	return exe, b.goBuild(exe, "-tags", "k2otest")
}
