package autostart

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// abs makes an absolute path on the system that the test runs on.
func abs(name string) string {
	if runtime.GOOS == "windows" {
		return `C:\Programs\` + name
	}
	return filepath.Join("/opt", name)
}

func is(t *testing.T, c Command, want State) {
	t.Helper()
	got, err := Enabled(c)
	if err != nil || got != want {
		t.Errorf("Enabled(%q) = %v, %v, want %v", c.Program, got, err, want)
	}
}

// TestRoundTrip works on the real place, in its own home folder.
func TestRoundTrip(t *testing.T) {
	ownPlace(t)
	here := Command{Program: abs("My Programs/key2oauth")}
	there := Command{Program: abs("new/key2oauth")}
	withArgs := Command{Program: here.Program, Args: []string{"--data-dir", abs("my data")}}

	is(t, here, Off)
	if err := Disable(); err != nil {
		t.Errorf("Disable when it is already off: %v", err)
	}
	if err := Enable(here); err != nil {
		t.Fatal(err)
	}
	is(t, here, On)
	is(t, there, Moved)
	is(t, withArgs, Moved)
	self, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	if err := Enable(Command{Program: self}); err != nil {
		t.Fatal(err)
	}
	is(t, here, Other)
	if err := Enable(withArgs); err != nil {
		t.Fatal(err)
	}
	is(t, withArgs, On)
	if err := Enable(there); err != nil {
		t.Fatal(err)
	}
	is(t, there, On)
	is(t, here, Moved)
	turnOff(t)
	is(t, there, Off)
	if err := Enable(there); err != nil {
		t.Fatal(err)
	}
	is(t, there, On)
	for range 2 {
		if err := Disable(); err != nil {
			t.Fatal(err)
		}
		is(t, there, Off)
	}
}

func TestRefused(t *testing.T) {
	ownPlace(t)
	for _, c := range []Command{
		{},
		{Program: "key2oauth"},
		{Program: "./key2oauth"},
		{Program: abs("new\nline")},
		{Program: abs("key2oauth"), Args: []string{"\x00"}},
	} {
		if err := Enable(c); err == nil {
			t.Errorf("Enable(%q) did not fail", c)
		}
		if _, err := Enabled(c); err == nil {
			t.Errorf("Enabled(%q) did not fail", c)
		}
	}
}

func TestLaunchAgent(t *testing.T) {
	const program = "/Applications/R&D <Tools>/key2oauth"
	got := launchAgent(Command{Program: program, Args: []string{"--data-dir", `"x"`}})
	if back := programIn(got); back != program {
		t.Errorf("programIn = %q, want %q", back, program)
	}
	for _, want := range []string{
		"<string>/Applications/R&amp;D &lt;Tools&gt;/key2oauth</string>\n\t\t<string>--data-dir</string>\n\t\t<string>&#34;x&#34;</string>\n",
		"<key>RunAtLoad</key>\n\t<true/>",
		"<string>com.github.key2oauth.key2oauth</string>",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("launchAgent lacks %q:\n%s", want, got)
		}
	}
}

func TestSelf(t *testing.T) {
	t.Setenv("APPIMAGE", "")
	got, err := Self()
	if err != nil || !filepath.IsAbs(got) {
		t.Errorf("Self() = %q, %v, want an absolute path", got, err)
	}
	t.Setenv("APPIMAGE", abs("Key2OAuth.AppImage"))
	if got, err := Self(); got != abs("Key2OAuth.AppImage") {
		t.Errorf("Self() = %q, %v, want the AppImage", got, err)
	}
}
