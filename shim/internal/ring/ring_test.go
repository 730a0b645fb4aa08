package ring

import (
	"bytes"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// TestMain lets the test binary stand in for a helper that never answers.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "hanging-helper" {
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

// A child that hangs is killed at its timeout.
func TestCallTimesOut(t *testing.T) {
	if runtime.GOOS != "linux" {
		testenv.Skip(t, "needs the helper process, which only Linux has")
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	g := New([]string{exe, "hanging-helper"})
	begin := time.Now()
	if a := g.Call(t.Context(), 300*time.Millisecond, Request{Op: Get, Account: "x"}); a.Status != Slow {
		t.Errorf("call = %+v, want %q", a, Slow)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("a call with a timeout of 300ms took %v", took)
	}
}

// FuzzHelper: for any input there is at most one answer.
func FuzzHelper(f *testing.F) {
	f.Add([]byte(`{"op":"probe"}`))
	f.Add([]byte(`{"op":"nothing","key":"x"}`))
	f.Add([]byte(`{"op":`))
	f.Fuzz(func(t *testing.T, b []byte) {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
		var out bytes.Buffer
		if err := RunHelper(bytes.NewReader(b), &out); err != nil && out.Len() > 0 {
			t.Errorf("RunHelper = %v, and wrote %q", err, out.Bytes())
		}
	})
}
