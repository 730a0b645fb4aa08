package vault

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/datadir"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

func runChild(t *testing.T, attr *syscall.SysProcAttr, args ...string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", args[0], err, out)
	}
	t.Logf("%s", out)
}

// TestL07FullDisk fills the disk under an open vault. The child process gets
// its own small file system if it may mount one, otherwise a limit on the size
// of its files.
func TestL07FullDisk(t *testing.T) {
	var attr *syscall.SysProcAttr
	if os.Getuid() == 0 {
		attr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	}
	runChild(t, attr, "no-room", t.TempDir())
}

// A disk that can be filled and emptied.
type disk struct{ fill, empty func() error }

func smallDisk(dir string) (disk, error) {
	filler := filepath.Join(dir, "filler")
	d := disk{
		fill: func() error {
			f, err := os.Create(filler)
			if err != nil {
				return err
			}
			defer f.Close()
			for size := 64 << 10; size > 0; {
				if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
					size /= 2
				} else if err != nil {
					return err
				}
			}
			return nil
		},
		empty: func() error { return os.Remove(filler) },
	}
	err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err == nil {
		err = syscall.Mount("none", dir, "tmpfs", 0, "size=2m")
	}
	if err == nil {
		fmt.Println("on a small tmpfs")
		return d, nil
	}
	fmt.Println("with a limit on file sizes:", err)
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return d, err
	}
	set := func(n uint64) error {
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: limit.Max})
	}
	return disk{
		fill:  func() error { return set(32 << 10) },
		empty: func() error { return set(limit.Cur) },
	}, nil
}

func noRoomProcess(dir string) error {
	disk, err := smallDisk(dir)
	if err != nil {
		return err
	}
	data := filepath.Join(dir, "data")
	v, err := Open(Config{Dir: data, Mode: keychain.ModeFile, PollEvery: 20 * time.Millisecond})
	if err != nil {
		return err
	}
	if got := v.Disk(); got != statefile.DiskReady || v.TryDisk() != nil {
		return fmt.Errorf("with room the disk is %s", got)
	}
	if err := v.AddEndpoint(endpoint.Endpoint{Slug: testSlug, BaseURL: testBase, Name: "x"}, ""); err != nil {
		return err
	}
	c, err := v.SaveCredential(testSlug, "", endpoint.NewSecret(testKey), endpoint.Working)
	if err != nil {
		return err
	}
	grant := func(n int) error {
		g := oauth.Grant{ID: fmt.Sprint("g", n), Slug: testSlug, ClientName: strings.Repeat("x", 1000)}
		return v.CreateGrant(g, digestOf(g.ID), oauth.Token{Kind: oauth.Code, Expires: time.Now()})
	}

	if err := disk.fill(); err != nil {
		return err
	}
	made := 0
	for err = nil; err == nil && made < 10_000; made++ {
		err = grant(made)
	}
	made--
	fmt.Println("full after", made, "grants:", err)
	if !errors.Is(err, oauth.ErrUnavailable) || !datadir.IsFull(err) && !strings.Contains(err.Error(), "too large") {
		return fmt.Errorf("on a full disk: %v, want oauth.ErrUnavailable and the cause", err)
	}
	// Nothing of the failed transaction is there, everything before it is, and
	// the next try fails the same way.
	for range 3 {
		if err := grant(made); !errors.Is(err, oauth.ErrUnavailable) {
			return fmt.Errorf("once more on a full disk: %v", err)
		}
		if all, err := v.Grants(); err != nil || len(all) != made {
			return fmt.Errorf("%d grants, %v, want %d", len(all), err, made)
		}
	}
	changed := v.Changed()
	if got := v.Disk(); got != statefile.DiskFull {
		return fmt.Errorf("the full disk is %s", got)
	}
	// A small change that still fits into the file does not mean that there is
	// room.
	v.SetSetting("x", []byte("y"))
	time.Sleep(100 * time.Millisecond) // time for several tries to save, none of which must succeed
	if err := v.TryDisk(); !errors.Is(err, oauth.ErrUnavailable) || v.Disk() != statefile.DiskFull {
		return fmt.Errorf("the disk is %s, and to try it gives %v", v.Disk(), err)
	}
	// Activity may be lost now, since no call waits for it. Later activity is
	// kept again.
	v.AppendActivity(testCall(1, time.Now()))
	v.Flush()
	if calls, err := v.Activity(); err != nil || len(calls) > 1 {
		return fmt.Errorf("activity on a full disk: %d calls, %w", len(calls), err)
	}
	if key, err := v.Key(c.ID); err != nil || key.Reveal() != testKey {
		return fmt.Errorf("Key on a full disk: %v", err)
	}
	if _, err := Open(Config{Dir: filepath.Join(dir, "other"), Mode: keychain.ModeFile}); err != nil {
		fmt.Println("opening on a full disk:", err)
		if _, ok := errors.AsType[*datadir.Error](err); !ok {
			return err
		}
	}

	if err := disk.empty(); err != nil {
		return err
	}
	select {
	case <-changed: // without any call to the vault
	case <-time.After(10 * time.Second):
		return errors.New("no one is told that there is room again")
	}
	if got := v.Disk(); got != statefile.DiskReady {
		return fmt.Errorf("with room again the disk is %s", got)
	}
	if _, err := os.Stat(filepath.Join(data, statefile.RoomFile)); err == nil {
		return errors.New("a file that only asks for room was left")
	}
	for n := made; n < made+20; n++ {
		if err := grant(n); err != nil {
			return fmt.Errorf("with room again: %w", err)
		}
	}
	v.AppendActivity(testCall(2, time.Now()))
	if err := v.Close(); err != nil {
		return err
	}
	if v, err = Open(Config{Dir: data, Mode: keychain.ModeFile}); err != nil {
		return err
	}
	defer v.Close()
	if all, err := v.Grants(); err != nil || len(all) != made+20 {
		return fmt.Errorf("after a restart %d grants, %v, want %d", len(all), err, made+20)
	}
	if calls, err := v.Activity(); err != nil || len(calls) == 0 || calls[len(calls)-1].Tool != "tool2" {
		return fmt.Errorf("after a restart activity is %v, %v, want the call with room again", calls, err)
	}
	return nil
}

// TestL07ReadOnly opens folders and files that cannot be written.
func TestL07ReadOnly(t *testing.T) {
	base := t.TempDir()
	for dir := base; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	folder := filepath.Join(base, "folder")
	if err := os.Mkdir(folder, 0o555); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(base, "file")
	v := openFileMode(t, file)
	addEndpoint(t, v, testSlug, "")
	closeVault(t, v)
	before := contents(t, file, stateFile)
	if err := errors.Join(os.Chmod(filepath.Join(file, stateFile), 0o444), os.Chmod(file, 0o555)); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 { // the child must own what it may not write, or that is what it is told
		for _, name := range []string{folder, file, filepath.Join(file, stateFile)} {
			if err := os.Chown(name, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
	}
	runChild(t, nil, "no-rights", base)
	if got := files(t, folder); len(got) != 0 {
		t.Errorf("a folder that may not be written has %v", got)
	}
	if !bytes.Equal(before, contents(t, file, stateFile)) {
		t.Error("a file that may not be written was changed")
	}
	os.Chmod(folder, 0o755)
	os.Chmod(file, 0o755)
}

// nobody is a user without rights.
const nobody = 65534

// noRightsProcess gives up root's right to write anything.
func noRightsProcess(base string) error {
	if os.Getuid() == 0 {
		if err := errors.Join(syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
			return err
		}
	}
	for _, dir := range []string{"folder", "file", "folder/below"} {
		_, err := Open(Config{Dir: filepath.Join(base, dir), Mode: keychain.ModeFile})
		fmt.Println(err)
		e, ok := errors.AsType[*datadir.Error](err)
		if !ok || !strings.Contains(e.Words, fmt.Sprintf(datadir.TextNoAccess, "")) || !strings.Contains(e.Words, filepath.Join(base, dir)) {
			return fmt.Errorf("Open(%s) = %v, want words that name the folder and what to do", dir, err)
		}
	}
	return nil
}
