package instance_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/instance"
)

const holdEnv = "INSTANCE_TEST_HOLD"

// With holdEnv set, the test binary is a program that holds a data folder until
// it is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(holdEnv); dir != "" {
		l, err := instance.Acquire(dir)
		if err == nil {
			err = l.Publish(instance.Info{PID: os.Getpid(), LocalOrigin: "http://127.0.0.1:1"})
		}
		fmt.Println("held", err)
		time.Sleep(time.Hour) // select {} alone would be a deadlock, which ends the program
		runtime.KeepAlive(l)
	}
	os.Exit(m.Run())
}

func TestLifecycle(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	if _, err := instance.Find(dir); !errors.Is(err, instance.ErrNotRunning) {
		t.Errorf("Find without a folder: got %v, want ErrNotRunning", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Find made the folder: %v", err)
	}

	l, err := instance.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := instance.Acquire(dir); !errors.Is(err, instance.ErrRunning) {
		t.Errorf("second Acquire: got %v, want ErrRunning", err)
	}
	want := instance.Info{PID: os.Getpid(), LocalOrigin: "http://127.0.0.1:7450", Version: "v1"}
	if err := l.Publish(want); err != nil {
		t.Fatal(err)
	}
	if got, err := instance.Find(dir); err != nil || got != want {
		t.Errorf("Find: got %+v, %v, want %+v", got, err, want)
	}
	if runtime.GOOS != "windows" {
		for name, want := range map[string]fs.FileMode{".": 0o700, "instance.json": 0o600, "instance.lock": 0o600} {
			fi, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if got := fi.Mode().Perm(); got != want {
				t.Errorf("mode of %s: got %o, want %o", name, got, want)
			}
		}
	}

	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := instance.Find(dir); !errors.Is(err, instance.ErrNotRunning) {
		t.Errorf("Find after Release: got %v, want ErrNotRunning", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "instance.json*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	again, err := instance.Acquire(dir)
	if err != nil {
		t.Fatalf("Acquire after Release: %v", err)
	}
	again.Release()
}

// A killed program leaves instance.json behind, and the system drops its lock.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	hold := exec.Command(os.Args[0])
	hold.Env = append(os.Environ(), holdEnv+"="+dir)
	out, err := hold.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := hold.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "held <nil>\n" {
		t.Fatalf("holder said %q", line)
	}
	if info, err := instance.Find(dir); err != nil || info.PID != hold.Process.Pid {
		t.Errorf("Find: got %+v, %v, want pid %d", info, err, hold.Process.Pid)
	}
	if _, err := instance.Acquire(dir); !errors.Is(err, instance.ErrRunning) {
		t.Errorf("Acquire: got %v, want ErrRunning", err)
	}
	hold.Process.Kill()
	hold.Wait()

	if _, err := os.Stat(filepath.Join(dir, "instance.json")); err != nil {
		t.Errorf("the killed program left no instance.json: %v", err)
	}
	if _, err := instance.Find(dir); !errors.Is(err, instance.ErrNotRunning) {
		t.Errorf("Find: got %v, want ErrNotRunning", err)
	}
	l, err := instance.Acquire(dir)
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	defer l.Release()
	if _, err := os.Stat(filepath.Join(dir, "instance.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Acquire kept the killed program's instance.json: %v", err)
	}
}

// Commands that look for a program must never keep one from starting.
func TestFindDoesNotBlockAcquire(t *testing.T) {
	dir := t.TempDir()
	first, err := instance.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var looking sync.WaitGroup
	for range 4 {
		looking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if _, err := instance.Find(dir); err != nil && !errors.Is(err, instance.ErrNotRunning) {
						t.Errorf("Find: %v", err)
						return
					}
				}
			}
		})
	}
	for range 20 {
		l, err := instance.Acquire(dir)
		if err != nil {
			t.Fatalf("Acquire: %v", err)
		}
		if err := l.Publish(instance.Info{LocalOrigin: "http://127.0.0.1:1"}); err != nil {
			t.Fatal(err)
		}
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	looking.Wait()
}

func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	l, err := instance.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	for _, content := range []string{"", "{", "[]", `{"pid":1}`} {
		if err := os.WriteFile(filepath.Join(dir, "instance.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if info, err := instance.Find(dir); err == nil || errors.Is(err, instance.ErrNotRunning) {
			t.Errorf("Find with %q: got %+v, %v, want an error that names the file", content, info, err)
		}
	}
}
