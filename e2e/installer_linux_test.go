package e2e

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tc-hib/winres"
	"github.com/tc-hib/winres/version"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/tray/traytest"
)

// home is the user's folder, as Windows and as Linux name it.
func (w *wine) home() (windows, linux string) {
	w.t.Helper()
	name := strings.TrimSpace(w.mustRun("wine", "cmd", "/c", "echo %USERPROFILE%"))
	return name, filepath.Join(w.dir, "prefix", "drive_c", filepath.FromSlash(strings.ReplaceAll(strings.TrimPrefix(name, `C:`), `\`, "/")))
}

// registry returns a value from the user's registry, or "".
func (w *wine) registry(key, value string) string {
	w.t.Helper()
	_, out := w.run("wine", "reg", "query", key, "/v", value)
	m := regexp.MustCompile(`REG_(?:EXPAND_)?SZ\s+(.*\S)`).FindStringSubmatch(out)
	if m == nil {
		return ""
	}
	return m[1]
}

const runKey = `HKCU\Software\Microsoft\Windows\CurrentVersion\Run`

// TestWineInstaller installs the program, signs in through it, upgrades it
// while it runs, and removes it, with and without the data.
func TestWineInstaller(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	m := released(t)
	setup := m.file("installers/Key2OAuth-" + m.version + "-windows-amd64-setup.exe")
	w := startWine(t)
	login := w.cross("login.exe", "test", "-c", "./e2e/windows")
	windows, linux := w.home()
	installed := windows + `\AppData\Local\Programs\Key2OAuth`
	console, gui := installed+`\bin\key2oauth.exe`, installed+`\Key2OAuth.exe`
	folder := filepath.Join(linux, "AppData/Local/Programs/Key2OAuth")
	data := filepath.Join(linux, "AppData/Roaming/key2oauth")
	link := filepath.Join(linux, "AppData/Roaming/Microsoft/Windows/Start Menu/Programs/Key2OAuth.lnk")
	exists := func(name string, want bool) {
		t.Helper()
		if _, err := os.Stat(name); (err == nil) != want {
			t.Errorf("%s is there: %t, want %t", strings.TrimPrefix(name, linux), err == nil, want)
		}
	}

	w.mustRun("wine", setup, "/S", "/LOGIN")
	exists(link, true)
	if got, want := w.registry(runKey, "Key2OAuth"), `"`+gui+`" --at-login`; got != want {
		t.Errorf("login starts %s, want %s", got, want)
	}
	// Called by name, which checks the PATH.
	if out := w.mustRun("wine", "cmd", "/c", "key2oauth version"); !strings.HasPrefix(out, "key2oauth "+m.version+" windows/amd64") {
		t.Errorf("key2oauth version = %q, want %s", out, m.version)
	}

	w.mustRun("wineserver", "-w") // until then another explorer may have the taskbar
	ended := w.begin("wine", "explorer", fmt.Sprintf("/desktop=k2o,%dx%d", wineWidth, wineHeight), gui)
	w.icon()
	w.links.next(t) // the first run opens the dashboard
	check := w.command("wine", login, "-test.v")
	check.Env = append(check.Env, "KEY2OAUTH_TEST_EXE="+console, `KEY2OAUTH_DATA_DIR=`+windows+`\AppData\Roaming\key2oauth`)
	if out, err := check.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestLogin") {
		t.Errorf("a login: %v\n%s", err, out)
	}

	// An upgrade stops the program and keeps its data.
	w.mustRun("wine", setup, "/S")
	traytest.Wait(t, "the end of the program that was replaced", func() (bool, string) {
		select {
		case <-ended:
			return true, ""
		default:
			return false, ""
		}
	})
	exists(filepath.Join(data, "state.db"), true)
	if w.registry(runKey, "Key2OAuth") == "" {
		t.Error("the upgrade ended start at login")
	}

	// Uninstalling leaves the user's data.
	remove := func(args ...string) {
		t.Helper()
		w.mustRun("wine", append([]string{installed + `\uninstall.exe`, "/S"}, args...)...)
		traytest.Wait(t, "the end of the uninstaller", func() (bool, string) {
			// This is its last step. The uninstaller copies itself, and the copy keeps
			// working after the command returns.
			return w.registry(`HKCU\Software\Key2OAuth`, "InstallDir") == "", ""
		})
		exists(folder, false)
		exists(link, false)
		if got := w.registry(runKey, "Key2OAuth"); got != "" {
			t.Errorf("login still starts %s", got)
		}
		if got := w.registry(`HKCU\Environment`, "Path"); strings.Contains(got, "Key2OAuth") {
			t.Errorf("the PATH is still %s", got)
		}
		if got := w.registry(`HKCU\Software\Microsoft\Windows\CurrentVersion\Uninstall\Key2OAuth`, "DisplayName"); got != "" {
			t.Error("Windows still lists the program")
		}
	}
	remove()
	exists(filepath.Join(data, "state.db"), true)

	// With the option for it, the uninstaller leaves nothing behind.
	w.mustRun("wine", setup, "/S")
	if got := w.registry(runKey, "Key2OAuth"); got != "" {
		t.Errorf("login starts %s, which was not chosen", got)
	}
	w.begin("wine", console, "serve", "--addr", "127.0.0.1:0")
	traytest.Wait(t, "the program", func() (bool, string) {
		_, out := w.run("wine", console, "list")
		return strings.Contains(out, "Linear"), out
	})
	remove("/DELETEDATA")
	exists(data, false)
	w.mustRun("wineserver", "-k", "-w") // writes the registry to the disk
	credentials, err := os.ReadFile(filepath.Join(w.dir, "prefix", "user.reg"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(credentials)) {
		// A program that ran in a console window may have left the window's size.
		if strings.Contains(line, "Key2OAuth") || strings.Contains(line, "Credential") && strings.Contains(line, "key2oauth") {
			t.Errorf("left in the registry: %s", line)
		}
	}
}

// begin starts a program that runs until the test ends.
func (w *wine) begin(name string, args ...string) (ended chan struct{}) {
	w.t.Helper()
	cmd := w.command(name, args...)
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	ended = make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	w.t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	return ended
}

// TestWineInstallerWindow clicks through the installer, and keeps screenshots
// of its pages.
// It runs alone: beside other tests, Wine may need more than a minute for its
// first window.
func TestWineInstallerWindow(t *testing.T) {
	testenv.Slow(t)
	m := released(t)
	w := startWine(t)
	windows, linux := w.home()
	w.begin("wine", "explorer", fmt.Sprintf("/desktop=k2o,%dx%d", wineWidth, wineHeight), m.file("installers/Key2OAuth-"+m.version+"-windows-amd64-setup.exe"))
	all := image.Rect(0, 0, wineWidth, wineHeight)
	// middle is the center of the area in our color: a picture on the first and the
	// last page, an icon on the pages between.
	middle := func() (at image.Point) {
		at, _ = traytest.Find(w.screen.Screen(t), all, teal)
		return at
	}
	shoot := func(page string) {
		w.screen.Point(t, image.Pt(10, 10), 0)
		traytest.Keep(t, w.screen.Still(t), all, filepath.Join(shots, "setup-"+page+".png"))
	}
	traytest.Wait(t, "the first page", func() (bool, string) { return middle() != image.Point{}, "" })
	shoot("welcome")
	first := middle()
	// The button for the next page has the focus.
	w.screen.Do(t, "key", "Return")
	traytest.Wait(t, "the page with the choices", func() (bool, string) { return middle() != first, "" })
	shoot("choices")
	w.screen.Do(t, "key", "Return")
	traytest.Wait(t, "the last page", func() (bool, string) { return middle() == first, fmt.Sprint(middle()) })
	shoot("done")
	if _, err := os.Stat(filepath.Join(linux, "AppData/Local/Programs/Key2OAuth/Key2OAuth.exe")); err != nil {
		t.Error(err)
	}
	// The last page starts the program by default.
	w.screen.Do(t, "key", "Return")
	w.icon()
	w.links.next(t)

	// The uninstaller stops the program, and asks about the data. Return means No.
	before := w.screen.Screen(t)
	w.begin("wine", "explorer", fmt.Sprintf("/desktop=k2o,%dx%d", wineWidth, wineHeight), windows+`\AppData\Local\Programs\Key2OAuth\uninstall.exe`)
	w.screen.WaitChange(t, "the uninstaller", before, 50_000)
	shoot("remove")
	before = w.screen.Screen(t)
	w.screen.Do(t, "key", "Return")
	w.screen.WaitChange(t, "the question about the data", before, 20_000)
	shoot("question")
	w.screen.Do(t, "key", "Return")
	traytest.Wait(t, "the program to be gone", func() (bool, string) {
		_, err := os.Stat(filepath.Join(linux, "AppData/Local/Programs/Key2OAuth/Key2OAuth.exe"))
		return os.IsNotExist(err), ""
	})
	if _, err := os.Stat(filepath.Join(linux, "AppData/Roaming/key2oauth/state.db")); err != nil {
		t.Errorf("the uninstaller was told to keep the data: %v", err)
	}
}

// teal is the background color of the program's icon.
var teal = color.NRGBA{0x0b, 0x6a, 0x5f, 0xff}

// TestWindowsPrograms inspects the two installed programs. They differ only in
// their window, and have an icon, a version and a signature.
func TestWindowsPrograms(t *testing.T) {
	t.Parallel()
	m := released(t)
	for _, arch := range []struct{ name, machine string }{{"amd64", "8664"}, {"arm64", "aa64"}} {
		for kind, name := range map[string]string{"console": "console.exe", "gui": "gui.exe"} {
			file := m.file("windows-" + arch.name + "/" + name)
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := machine(t, b), arch.machine+" "+kind; got != want {
				t.Errorf("%s for %s is %s, want %s", name, arch.name, got, want)
			}
			m.resources(file)
			m.signed(file)
		}
		m.signed(m.file("installers/Key2OAuth-" + m.version + "-windows-" + arch.name + "-setup.exe"))
	}
}

// resources checks the icon and the version that Explorer shows.
func (m made) resources(file string) {
	m.t.Helper()
	f, err := os.Open(file)
	if err != nil {
		m.t.Fatal(err)
	}
	defer f.Close()
	rs, err := winres.LoadFromEXE(f)
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := rs.GetIcon(winres.Name("APP")); err != nil {
		m.t.Errorf("%s has no icon: %v", file, err)
	}
	vi, err := version.FromBytes(rs.Get(winres.RT_VERSION, winres.ID(1), version.LangDefault))
	if err != nil {
		m.t.Fatal(err)
	}
	words, err := json.Marshal(vi)
	if err != nil || !strings.Contains(string(words), `"ProductVersion":"`+m.version+`"`) {
		m.t.Errorf("%s does not say that it is version %s: %s", file, m.version, words)
	}
	if !strings.Contains(string(rs.Get(winres.RT_MANIFEST, winres.ID(1), version.LangDefault)), "asInvoker") {
		m.t.Errorf("%s does not say that it needs no administrator", file)
	}
}

// signed checks the signature with the snapshot's own certificate.
func (m made) signed(file string) {
	m.t.Helper()
	own := filepath.Join("..", "cmd", "key2oauth", "packaging", "out", "snapshot.pem")
	out, err := exec.Command(testenv.Need(m.t, "osslsigncode"), "verify", "-CAfile", own, "-in", file).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Signature verification: ok") {
		m.t.Errorf("%s is not signed: %v\n%s", file, err, out)
	}
}

// TestSigning signs with what the release workflow provides, and signs nothing
// if it provides nothing.
func TestSigning(t *testing.T) {
	t.Parallel()
	m := released(t)
	openssl, osslsigncode := testenv.Need(t, "openssl"), testenv.Need(t, "osslsigncode")
	run := func(env []string, name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", filepath.Base(name), err, out)
		}
		return string(out)
	}
	// A separate tree has no snapshot certificate.
	packaging := filepath.Join("..", "cmd", "key2oauth", "packaging")
	root := t.TempDir()
	script := filepath.Join(root, "cmd/key2oauth/packaging/windows/sign.sh")
	copyFile(t, filepath.Join(packaging, "windows", "sign.sh"), script)
	program := filepath.Join(root, "key2oauth.exe")
	run(nil, osslsigncode, "remove-signature", "-in", m.file("windows-amd64/console.exe"), "-out", program)
	before, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if out := run([]string{"WINDOWS_CERTIFICATE="}, script, program); !strings.Contains(out, "is not signed") {
		t.Errorf("without a certificate, sign.sh says %q", out)
	}
	if after, err := os.ReadFile(program); err != nil || string(after) != string(before) {
		t.Errorf("without a certificate, sign.sh changed the program: %v", err)
	}

	const password = `it's a "secret" $word`
	own, p12 := filepath.Join(packaging, "out", "snapshot.pem"), filepath.Join(root, "certificate.p12")
	run([]string{"P12=" + password}, openssl, "pkcs12", "-export", "-in", own, "-inkey", own, "-passout", "env:P12", "-out", p12)
	if out := run([]string{"WINDOWS_CERTIFICATE=" + p12, "WINDOWS_CERTIFICATE_PASSWORD=" + password}, script, program); strings.Contains(out, "secret") {
		t.Errorf("sign.sh prints the password: %q", out)
	}
	m.signed(program)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}
