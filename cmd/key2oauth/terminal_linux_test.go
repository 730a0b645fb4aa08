package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// openPTY returns the two sides of a new terminal: the person's, pty(7), and
// the program's.
func openPTY(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

func echoes(t *testing.T, f *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

func waitUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestOnTerminal(t *testing.T) {
	up := shimtest.NewUpstream(t, shimtest.Options{})
	s := serveHere(t)
	defer func() { s.cancel(); <-s.done }()
	person, tty := openPTY(t)
	var screen testenv.Output // what the terminal echoes
	go io.Copy(&screen, person)

	var stdout, stderr testenv.Output
	start := func(ctx context.Context, args ...string) chan error {
		done := make(chan error, 1)
		go func() { done <- run(ctx, append(args, "--data-dir", s.dir), tty, &stdout, &stderr) }()
		return done
	}
	if err := <-start(t.Context(), "add", up.URL, "--name", "Sample"); err != nil {
		t.Fatal(err)
	}
	slug := strings.Split(stdout.String(), "/")[3]

	t.Run("key is not shown", func(t *testing.T) {
		done := start(t.Context(), "key", slug)
		waitUntil(t, "the terminal hides what is typed", func() bool { return !echoes(t, tty) })
		if !strings.Contains(stderr.String(), "API key (not shown): ") {
			t.Errorf("no prompt in %q", stderr.String())
		}
		fmt.Fprintln(person, up.Key())
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(stderr.String(), "key saved for Sample") {
			t.Errorf("got stderr %q", stderr.String())
		}
		if !echoes(t, tty) {
			t.Error("the terminal still hides what is typed")
		}
		for _, out := range []string{screen.String(), stdout.String(), stderr.String()} {
			if strings.Contains(out, up.Key()) {
				t.Errorf("the key is shown: %q", out)
			}
		}
	})

	t.Run("given up at the prompt", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := start(ctx, "key", slug)
		waitUntil(t, "the terminal hides what is typed", func() bool { return !echoes(t, tty) })
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		if !echoes(t, tty) {
			t.Error("the terminal still hides what is typed")
		}
		fmt.Fprintln(person) // ends the read that was left running
	})

	t.Run("remove asks first", func(t *testing.T) {
		for _, tt := range []struct{ answer, want string }{
			{"", "nothing was removed"},
			{"no", "nothing was removed"},
			{"y", "removed Sample"},
		} {
			done := start(t.Context(), "remove", slug)
			asked := strings.Count(stderr.String(), "[y/N]")
			waitUntil(t, "it asks", func() bool { return strings.Count(stderr.String(), "[y/N]") > asked })
			before := len(stderr.String())
			fmt.Fprintln(person, tt.answer)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if got := stderr.String()[before:]; !strings.Contains(got, tt.want) {
				t.Errorf("answer %q: got %q, want %q", tt.answer, got, tt.want)
			}
		}
	})
}

// TestStartOnTerminal: a start on a terminal prints one link that works, and
// works once.
func TestStartOnTerminal(t *testing.T) {
	person, tty := openPTY(t)
	var screen testenv.Output
	go io.Copy(&screen, person)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"serve", "--data-dir", t.TempDir(), "--addr", ":0", "--keychain", "memory"}, tty, io.Discard, tty)
	}()
	link := regexp.MustCompile(`Open (http://127\.0\.0\.1:\d+/open\?ticket=\w+) \(works once\)`)
	waitUntil(t, "there is a link", func() bool { return link.MatchString(screen.String()) })
	found := link.FindAllStringSubmatch(screen.String(), -1)
	if len(found) != 1 {
		t.Errorf("%d links are shown, want one", len(found))
	}
	origin, _, _ := strings.Cut(found[0][1], "/open?")
	b := shimtest.NewBrowser(t, origin)
	if p := b.SignIn(found[0][1]); p.Status != http.StatusOK {
		t.Errorf("the link leads to %d", p.Status)
	}
	if p := shimtest.NewBrowser(t, origin).SignIn(found[0][1]); p.Status != http.StatusForbidden {
		t.Errorf("opened a second time it leads to %d", p.Status)
	}
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
