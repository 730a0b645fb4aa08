//go:build unix

package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/cli"
)

// Another user's data folder: it can be read, but not written.
func TestReadOnlyFolder(t *testing.T) {
	top, err := os.MkdirTemp("", "key2oauth")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(top)
	dir := filepath.Join(top, "data")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	prog := filepath.Join(top, "key2oauth")
	copyFile(t, self(t), prog)

	cmd := exec.Command(prog, "serve", "--addr", ":0", "--keychain", "file", "--data-dir", dir)
	cmd.Dir = "/"
	if os.Getuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	} else if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != cli.ExitFailed {
		t.Errorf("exit code: got %d, want %d", got, cli.ExitFailed)
	}
	if stdout.Len() != 0 || !strings.Contains(stderr.String(), dir) || !strings.Contains(stderr.String(), "hint: ") {
		t.Errorf("got stdout %q, stderr %q", stdout.String(), stderr.String())
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("the folder holds %v, %v; want nothing", left, err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	r, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, r); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// The one who started the program may stop reading its log, and may close the
// terminal. The first changes nothing, the second lets calls finish.
func TestLogReaderLeaves(t *testing.T) {
	prog := filepath.Join(t.TempDir(), "key2oauth")
	copyFile(t, self(t), prog)
	logReader, logWriter, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(prog, "serve", "--addr", ":0", "--keychain", "memory", "--data-dir", t.TempDir(), "--log-level", "debug")
	cmd.Stderr = logWriter
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	logWriter.Close()
	ready, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	origin, _, _ := strings.Cut(strings.TrimPrefix(ready, "ready local="), " ")
	logReader.Close()
	for range 3 { // each is logged
		res, err := http.Get(origin + "/api/nothing")
		if err != nil {
			t.Fatalf("the program ended with the reader of its log: %v", err)
		}
		res.Body.Close()
	}
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGHUP: %v, want a clean end", err)
	}
}
