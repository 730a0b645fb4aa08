package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/cli"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/instance"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/listen"
	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/api"
)

func TestParseAddr(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"127.0.0.1:7450", "127.0.0.1:7450"},
		{"127.8.9.10:1", "127.8.9.10:1"},
		{":0", "127.0.0.1:0"},
		{":7451", "127.0.0.1:7451"},
		{"localhost:7450", "127.0.0.1:7450"},
		{"[::1]:7450", "[::1]:7450"},
		{"[::ffff:127.0.0.1]:7450", "127.0.0.1:7450"},
		{"0.0.0.0:7450", ""},
		{"[::]:7450", ""},
		{"10.0.0.1:7450", ""},
		{"[::ffff:10.0.0.1]:7450", ""},
		{"[::1%lo]:7450", ""},
		{"localhost.example.com:7450", ""},
		{"127.1:7450", ""},
		{"2130706433:7450", ""},
		{"127.0.0.1", ""},
		{"7450", ""},
		{"127.0.0.1:", ""},
		{"127.0.0.1:http", ""},
		{"127.0.0.1:65536", ""},
		{"127.0.0.1:-1", ""},
		{"", ""},
	} {
		got := ""
		if ap, err := listen.ParseAddr(tt.in); err == nil {
			got = ap.String()
		}
		if got != tt.want {
			t.Errorf("listen.ParseAddr(%q): got %q, want %q", tt.in, got, tt.want)
		}
	}
}

// No address flag makes it listen beyond this computer.
func FuzzParseAddr(f *testing.F) {
	for _, seed := range []string{":0", "127.0.0.1:7450", "[::1]:1", "[::ffff:1.2.3.4]:1", "0:0", "localhost:1", "[fe80::1%eth0]:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ap, err := listen.ParseAddr(s)
		if err != nil {
			return
		}
		if !ap.Addr().IsLoopback() {
			t.Errorf("listen.ParseAddr(%q): got %s, which is not loopback", s, ap)
		}
		if again, err := netip.ParseAddrPort(ap.String()); err != nil || again != ap {
			t.Errorf("listen.ParseAddr(%q): %s reads as %s, %v", s, ap, again, err)
		}
	})
}

func TestPrintable(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "Claude Code (caf\u00e9)", "Claude Code (caf\u00e9)"},
		{"escape sequence", "a\x1b[31mb\x07", "a[31mb"},
		{"C1 control", "a\u009b31mb", "a31mb"},
		{"line break", "a\r\nb\tc", "a b c"},
		{"right-to-left override", "a\u202eb\u2066c", "abc"},
		{"zero width", "a\u200bb\ufeffc", "abc"},
		{"not UTF-8", "a\xffb", "ab"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := cli.Printable(tt.in); got != tt.want {
				t.Errorf("cli.Printable(%q): got %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestReport(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		code int
		want string
	}{
		{"none", nil, 0, ""},
		{"interrupted", context.Canceled, cli.ExitFailed, ""},
		{"plain", errors.New("x"), cli.ExitFailed, "key2oauth: x\n"},
		{"usage", cli.Usage("do y", "bad %s", "x"), cli.ExitUsage, "key2oauth: bad x\nkey2oauth: hint: do y\n"},
		{"with clean-up", errors.Join(cli.Failed(errors.New("x"), "do y"), errors.New("z")), cli.ExitFailed, "key2oauth: x z\nkey2oauth: hint: do y\n"},
		{"a stranger's words", errors.New("x\x1b[2J"), cli.ExitFailed, "key2oauth: x[2J\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if got := cli.Report(&b, tt.err); got != tt.code || b.String() != tt.want {
				t.Errorf("cli.Report(%v): got %d %q, want %d %q", tt.err, got, b.String(), tt.code, tt.want)
			}
		})
	}
}

// A serving is a run of the app inside the test.
type serving struct {
	dir    string
	origin string
	stderr *testenv.Output
	cancel context.CancelFunc
	done   chan error
}

// serveHere runs "serve" with more arguments and returns once it is ready.
func serveHere(t *testing.T, more ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &serving{dir: t.TempDir(), stderr: new(testenv.Output), cancel: cancel, done: make(chan error, 1)}
	stdout := new(testenv.Output)
	args := append([]string{"serve", "--data-dir", s.dir, "--addr", ":0", "--keychain", "memory"}, more...)
	go func() { s.done <- run(ctx, args, strings.NewReader(""), stdout, s.stderr) }()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, line, ok := strings.Cut(stdout.String(), "ready local="); ok {
			s.origin = strings.Fields(line)[0]
			return s
		}
		select {
		case err := <-s.done:
			t.Fatalf("serve: %v\n%s", err, s.stderr)
		default:
		}
	}
	cancel()
	t.Fatalf("serve is not ready:\n%s", s.stderr)
	return nil
}

// Streams never end on their own, but the app must end anyway.
func TestEndsWithOpenStream(t *testing.T) {
	s := serveHere(t)
	token, err := os.ReadFile(filepath.Join(s.dir, api.TokenFile))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest("GET", s.origin+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, 10)); err != nil {
		t.Fatalf("the stream of events: %v", err)
	}

	begun := time.Now()
	s.cancel()
	if err := <-s.done; err != nil {
		t.Errorf("serve: %v", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("serve took %v to end, want at most 5s", took)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Errorf("the stream did not end well: %v", err)
	}
	if _, err := instance.Find(s.dir); !errors.Is(err, instance.ErrNotRunning) {
		t.Errorf("Find after the end: got %v, want ErrNotRunning", err)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(s.origin, "http://")); err == nil {
		t.Errorf("%s still answers", s.origin)
	}
}

// When several programs start at once on one data folder, exactly one serves.
func TestStartedAtOnce(t *testing.T) {
	dir := t.TempDir()
	const programs = 5
	var out [programs]testenv.Output
	var errs [programs]error
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	ended := make(chan struct{}, programs)
	for i := range programs {
		running.Go(func() {
			args := []string{"serve", "--data-dir", dir, "--addr", ":0", "--keychain", "memory"}
			errs[i] = run(ctx, args, strings.NewReader(""), &out[i], io.Discard)
			ended <- struct{}{}
		})
	}
	for range programs - 1 {
		<-ended
	}
	cancel()
	running.Wait()
	served := 0
	for i := range programs {
		if strings.HasPrefix(out[i].String(), "ready ") && errs[i] == nil {
			served++
			continue
		}
		if errs[i] == nil || !strings.Contains(errs[i].Error(), instance.ErrRunning.Error()) || out[i].String() != "" {
			t.Errorf("another program: got %v, %q, want that one is already running", errs[i], out[i].String())
		}
	}
	if served != 1 {
		t.Errorf("%d programs served, want 1", served)
	}
}

// A data folder that cannot be written is reported in plain words, and no data
// is lost.
func TestUnusableFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		var stdout, stderr testenv.Output
		err := run(t.Context(), []string{"serve", "--data-dir", dir, "--addr", ":0"}, strings.NewReader(""), &stdout, &stderr)
		code := cli.Report(&stderr, err)
		if code != cli.ExitFailed || stdout.String() != "" || !strings.Contains(stderr.String(), dir) || !strings.Contains(stderr.String(), "--data-dir") {
			t.Errorf("serve --data-dir %s: got exit code %d, stdout %q, stderr %q", dir, code, stdout.String(), stderr.String())
		}
	}
}

// Other programs and people wait for "ready". It may take a second, which is
// ten times what it takes on an idle machine, or ten times as long as a command
// that only prints something. The best of several starts counts: a busy machine
// makes some of them slow, and what makes every start slow is ours.
func TestReadySoon(t *testing.T) {
	var took, limit time.Duration
	for range 10 {
		begun := time.Now()
		if out, err := exec.Command(self(t), "version").CombinedOutput(); err != nil {
			t.Fatalf("key2oauth version: %v\n%s", err, out)
		}
		limit = max(time.Second, 10*time.Since(begun))
		if took = readyAfter(t); took <= limit {
			return
		}
	}
	t.Errorf("ready after %v, want at most 100ms, and fail at %v", took, limit)
}

// readyAfter starts the app and returns how long it took to say that it is
// ready.
func readyAfter(t *testing.T) time.Duration {
	t.Helper()
	cmd := exec.Command(self(t), "serve", "--addr", ":0", "--keychain", "memory", "--data-dir", t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if _, err := io.ReadFull(out, make([]byte, len("ready "))); err != nil {
		t.Fatal(err)
	}
	return time.Since(begun)
}

// self is the path of this program: testscript puts it on PATH.
func self(t *testing.T) string {
	t.Helper()
	p, err := exec.LookPath("key2oauth")
	if err != nil {
		t.Fatal(err)
	}
	return p
}
