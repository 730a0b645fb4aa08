package clipboard

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

const address = "https://calm-otter.ngrok-free.app/abcdefghijkl/mcp"

func TestCopy(t *testing.T) {
	xclip, xvfb := testenv.Need(t, "xclip"), testenv.Need(t, "Xvfb")
	t.Setenv("WAYLAND_DISPLAY", "")
	t.Setenv("DISPLAY", display(t, xvfb))
	if err := CopyURL(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	got, err := exec.Command(xclip, "-out", "-selection", "clipboard").Output()
	if err != nil || string(got) != address {
		t.Errorf("the clipboard has %q, %v, want %q", got, err, address)
	}
}

func TestNoClipboard(t *testing.T) {
	t.Setenv("WAYLAND_DISPLAY", "")
	t.Setenv("DISPLAY", ":4242")
	err := CopyURL(t.Context(), address)
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("CopyURL without a display: %v, want ErrUnavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := CopyURL(ctx, address); err == nil {
		t.Error("CopyURL after the end of its context did not fail")
	}
}

// display starts an X server, which picks a free display number.
func display(t *testing.T, xvfb string) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(xvfb, "-displayfd", "3", "-nolisten", "tcp")
	cmd.ExtraFiles = []*os.File{w}
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb printed no display number: %v", err)
	}
	return ":" + strings.TrimSpace(number)
}
