package logfile

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRotation: the log keeps the newest lines, whole, and never more than both
// files may have.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	l.max = 1000
	line := strings.Repeat("x", 99) + "\n"
	for range 57 {
		l.Write([]byte(line))
	}
	l.Write([]byte("the last line\n"))
	now, old := read(t, l.Path()), read(t, filepath.Join(dir, oldName))
	if len(now) > 1000 || len(old) != 1000 || !strings.HasSuffix(now, "\nthe last line\n") {
		t.Errorf("the files have %d and %d bytes, and the newest ends with %q", len(now), len(old), now[max(0, len(now)-20):])
	}
	if n := strings.Count(now+old, line); len(now)+len(old) != n*len(line)+len("the last line\n") {
		t.Error("a line was cut")
	}
	l.Write(bytes.Repeat([]byte("y"), 5000))
	if n := len(read(t, l.Path())); n > 1000 {
		t.Errorf("one long line made the file %d bytes", n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.Write([]byte("after the end"))

	// The next run goes on in the same file.
	l, err = Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.Write([]byte("the next run\n"))
	if got := read(t, l.Path()); !strings.HasSuffix(got, "the next run\n") || strings.Contains(got, "after the end") {
		t.Errorf("the log of the next run is %q", got)
	}
	if info, err := os.Stat(l.Path()); err != nil || info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		t.Errorf("others may read the log: %v, %v", info.Mode(), err)
	}
}

// TestLostFolder: a log that cannot be written stops nothing.
func TestLostFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	l.max = 10
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if n, err := l.Write([]byte("0123456789")); n != 10 || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l.Write([]byte("again"))
	if got := read(t, l.Path()); got != "again" {
		t.Errorf("once the folder is back the log is %q", got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// A link leads somewhere else, perhaps to what nothing may write to.
	target := filepath.Join(t.TempDir(), "target")
	os.Remove(filepath.Join(dir, Name))
	if err := os.Symlink(target, filepath.Join(dir, Name)); err != nil {
		t.Logf("no symbolic links here: %v", err)
		return
	}
	if _, err := Open(dir); err == nil {
		t.Error("a log was opened through a link")
	}
	link := filepath.Join(dir, crashName)
	if err := os.WriteFile(target, []byte("not ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if earlier, err := Crashes(dir); earlier != "" || err == nil {
		t.Errorf("a link was taken for the report of a crash: %q, %v", earlier, err)
	}
	if at, err := os.Readlink(link); at != target || read(t, target) != "not ours" {
		t.Errorf("the link is now %q, %v, and leads to %q", at, err, read(t, target))
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no console") }

func TestTee(t *testing.T) {
	l, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tee := &Tee{Stderr: broken{}}
	tee.Write([]byte("before\n"))
	tee.Keep(l)
	if _, err := tee.Write([]byte("kept\n")); err == nil {
		t.Error("standard error failed, and Write did not say so")
	}
	if err := tee.Drop(); err != nil {
		t.Fatal(err)
	}
	tee.Write([]byte("after\n"))
	if got := read(t, l.Path()); got != "kept\n" {
		t.Errorf("without a console the log is %q", got)
	}
}

// TestCrashes lets a real program crash, and finds out in the next one.
func TestCrashes(t *testing.T) {
	if dir := os.Getenv("LOGFILE_CRASH_DIR"); dir != "" {
		if _, err := Crashes(dir); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { defer close(ended); panic("on purpose") }()
		<-ended
		select {}
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashes$")
	cmd.Env = append(os.Environ(), "LOGFILE_CRASH_DIR="+dir)
	if err := cmd.Run(); err == nil {
		t.Fatal("the program did not crash")
	}
	earlier, err := Crashes(dir)
	if err != nil || !strings.Contains(read(t, earlier), "panic: on purpose") {
		t.Fatalf("Crashes = %q, %v", earlier, err)
	}
	if again, err := Crashes(dir); again != "" || err != nil {
		t.Errorf("one crash was reported twice: %q, %v", again, err)
	}
	if err := Remove(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
