package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/icons"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// A chroot is a separate Debian with only the packages that every Debian has.
type chroot struct {
	t      *testing.T
	root   string
	mirror string
}

func newChroot(t *testing.T) *chroot {
	t.Helper()
	for _, program := range []string{"debootstrap", "unshare", "chroot"} {
		testenv.Need(t, program)
	}
	if os.Getuid() != 0 {
		testenv.Skip(t, "needs root to make a Debian in a folder")
	}
	// The source of this machine's own packages.
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").Output()
	mirror, _, _ := strings.Cut(string(out), "\n")
	if err != nil || mirror == "" {
		t.Fatalf("apt names no mirror: %v", err)
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		t.Fatal(err)
	}
	codename := regexp.MustCompile(`(?m)^VERSION_CODENAME=(\w+)$`).FindSubmatch(release)
	if codename == nil {
		t.Fatal("/etc/os-release has no VERSION_CODENAME")
	}
	c := &chroot{t, filepath.Join(t.TempDir(), "root"), mirror}
	c.host("debootstrap", "--variant=minbase", string(codename[1]), c.root, mirror)
	return c
}

// host runs a program of this machine.
func (c *chroot) host(name string, args ...string) string {
	c.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	said := strings.ReplaceAll(string(out), c.mirror, "MIRROR")
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", name, err, tail(said, 4000))
	}
	return said
}

// enter is a script that runs a program in the chroot. The program replaces the
// script's process, which makes it the target of signals and the owner of its
// connections. Its mounts end with it.
const enter = `#!/bin/sh
exec unshare --mount --propagation private /bin/sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' '%s' %s "$@"
`

// script writes a script that runs program in the chroot.
func (c *chroot) script(program string) string {
	c.t.Helper()
	name := filepath.Join(c.t.TempDir(), "enter")
	if err := os.WriteFile(name, fmt.Appendf(nil, enter, c.root, program), 0o755); err != nil {
		c.t.Fatal(err)
	}
	return name
}

// run runs a program in the chroot.
func (c *chroot) run(args ...string) string {
	c.t.Helper()
	return c.host(c.script(""), args...)
}

// install installs a package as a double click on it does.
func (c *chroot) install(deb string) {
	c.t.Helper()
	b, err := os.ReadFile(deb)
	if err != nil {
		c.t.Fatal(err)
	}
	inside := filepath.Join("/tmp", filepath.Base(deb))
	if err := os.WriteFile(filepath.Join(c.root, inside), b, 0o644); err != nil {
		c.t.Fatal(err)
	}
	c.run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends", inside)
	if err := os.Remove(filepath.Join(c.root, inside)); err != nil {
		c.t.Fatal(err)
	}
}

// ours lists the files in the chroot that have our name, except for what dpkg
// and apt keep about every package.
func (c *chroot) ours() []string {
	c.t.Helper()
	var found []string
	err := filepath.WalkDir(c.root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside := strings.TrimPrefix(name, c.root)
		if inside == "/proc" || inside == "/sys" || inside == "/var/log" || inside == "/var/lib/apt" {
			return filepath.SkipDir
		}
		if strings.Contains(d.Name(), "key2oauth") {
			found = append(found, inside)
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return found
}

// TestDebPackage installs an older package in a clean Debian, signs in once,
// upgrades while the program runs, and removes it.
func TestDebPackage(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	m := released(t)
	c := newChroot(t)
	c.install(m.file("old/key2oauth_0.0.1_amd64.deb"))
	const dir = "/srv/key2oauth" // in the chroot
	a := startWith(t, &app{exe: c.script("/usr/bin/key2oauth"), dir: dir})
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	e := a.addEndpoint("Linear", up.URL, up.Key())
	u := signedIn(t, a, e.Local, up.Key())
	u.mustCall("with the old package")
	if got := a.version(); got != "0.0.1" {
		t.Errorf("the old program is version %s", got)
	}

	c.install(m.file("key2oauth_*_amd64.deb"))
	if out := a.run("", "version"); !strings.HasPrefix(out, "key2oauth "+m.version+" ") {
		t.Errorf("after the upgrade, key2oauth version = %q, want %s", out, m.version)
	}
	u.mustCall("with the old program, after the upgrade")
	a.stop()
	a.start()
	if got := a.version(); got != m.version {
		t.Errorf("started again, the program is version %s, want %s", got, m.version)
	}
	u.mustAll("with the new program")
	a.stop()

	// Removing the package leaves the user's data.
	c.run("apt-get", "purge", "-y", "key2oauth")
	for _, name := range c.ours() {
		if name != dir && !strings.HasPrefix(name, dir+"/") {
			t.Errorf("left after the package was removed: %s", name)
		}
	}
	if _, err := os.Stat(filepath.Join(c.root, dir, "state.db")); err != nil {
		t.Errorf("the user's data after the package was removed: %v", err)
	}

	// Deleting everything before the removal leaves nothing behind.
	c.install(m.file("key2oauth_*_amd64.deb"))
	a.start()
	u.mustCall("after it was removed and installed again")
	a.run("", "delete-everything", "--yes")
	a.cmd.Wait()
	a.cmd = nil
	c.run("apt-get", "purge", "-y", "key2oauth")
	if left := c.ours(); len(left) > 0 {
		t.Errorf("left after everything was deleted: %v", left)
	}
}

// version is the version that the running program reports.
func (a *app) version() string {
	a.t.Helper()
	var status struct{ Version string }
	a.api("GET", "/api/status", nil, &status)
	return status.Version
}

// TestDebIsClean runs Debian's own checker on the packages. It must find no
// errors, and only the listed warnings.
func TestDebIsClean(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	m := released(t)
	lintian := testenv.Need(t, "lintian")
	for _, arch := range []string{"amd64", "arm64"} {
		deb := m.file("key2oauth_*_" + arch + ".deb")
		out, err := exec.Command(lintian, "--allow-root", "--fail-on", "error,warning", "--suppress-tags", strings.Join(tolerated, ","), deb).CombinedOutput()
		if err != nil {
			t.Errorf("lintian %s: %v\n%s", arch, err, out)
		}
		// None of our code runs as root.
		scripts, err := exec.Command("dpkg-deb", "--ctrl-tarfile", deb).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"preinst", "postinst", "prerm", "postrm", "config", "triggers"} {
			if strings.Contains(string(scripts), name) {
				t.Errorf("the package for %s has a %s script", arch, name)
			}
		}
		// Nothing starts automatically.
		list, err := exec.Command("dpkg-deb", "--contents", deb).Output()
		if err != nil {
			t.Fatal(err)
		}
		// The unit is for users who turn it on.
		rest := strings.ReplaceAll(string(list), "./usr/lib/systemd/user/key2oauth.service\n", "\n")
		for _, name := range []string{"autostart", "systemd/system", "user/", ".wants", "preset", "init.d", "cron"} {
			if strings.Contains(strings.ReplaceAll(rest, "./usr/lib/systemd/user/\n", "\n"), name) {
				t.Errorf("the package for %s has something in %s:\n%s", arch, name, list)
			}
		}
		for _, size := range icons.AppSizes {
			if name := fmt.Sprintf("./usr/share/icons/hicolor/%[1]dx%[1]d/apps/key2oauth.png", size); !strings.Contains(string(list), name) {
				t.Errorf("the package for %s lacks %s", arch, name)
			}
		}
	}
}

// tolerated are the lintian warnings about every package that was not built
// with Debian's own tools.
var tolerated = []string{
	"unknown-field", // Architecture-Variant, which the packer adds
}

// TestDesktopFiles checks what desktops read.
func TestDesktopFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "cmd", "key2oauth", "packaging", "linux")
	for _, args := range [][]string{
		{"desktop-file-validate", filepath.Join(dir, "key2oauth.desktop")},
		{"appstreamcli", "validate", "--no-net", filepath.Join(dir, "io.github.key2oauth.key2oauth.metainfo.xml")},
	} {
		cmd := exec.Command(testenv.Need(t, args[0]), args[1:]...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", args[0], err, out)
		}
	}
}

// TestUserUnit lets systemd read the unit for servers, with the program where it
// was built.
func TestUserUnit(t *testing.T) {
	t.Parallel()
	analyze := testenv.Need(t, "systemd-analyze")
	b, err := os.ReadFile(filepath.Join("..", "cmd", "key2oauth", "packaging", "linux", "key2oauth.service"))
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "key2oauth.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(b), "/usr/bin/key2oauth", built(t, buildProgram))), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(analyze, "--user", "--man=no", "verify", unit)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// TestRPMPackage installs the RPM package into a folder with a separate
// database, runs the program, and removes it.
func TestRPMPackage(t *testing.T) {
	t.Parallel()
	m := released(t)
	rpm := testenv.Need(t, "rpm")
	file, root := m.file("key2oauth-*.x86_64.rpm"), t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(rpm, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("rpm %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if scripts := run("-qp", "--scripts", "--triggers", file); scripts != "" {
		t.Errorf("the package runs something as root:\n%s", scripts)
	}
	if likes := run("-qp", "--recommends", file); !strings.Contains(likes, "(gnome-shell-extension-appindicator if gnome-shell)\n") {
		t.Errorf("the package does not ask for GNOME's tray where GNOME is:\n%s", likes)
	}
	if needs := run("-qp", "--requires", file); strings.Contains(strings.ReplaceAll(needs, "rpmlib(", ""), "(") {
		t.Errorf("the package needs more than rpm:\n%s", needs)
	}
	run("--root", root, "--initdb")
	// This database knows no other packages, and ours needs no others.
	run("--root", root, "--nodeps", "-i", file)
	out, err := exec.Command(filepath.Join(root, "usr/bin/key2oauth"), "version").Output()
	if err != nil || !strings.HasPrefix(string(out), "key2oauth "+m.version+" ") {
		t.Errorf("key2oauth version = %q, %v, want %s", out, err, m.version)
	}
	files := strings.Fields(run("--root", root, "-ql", "key2oauth"))
	for _, want := range []string{"/usr/bin/key2oauth", "/usr/share/applications/key2oauth.desktop",
		"/usr/share/icons/hicolor/48x48/apps/key2oauth.png", "/usr/share/man/man1/key2oauth.1.gz",
		"/usr/lib/systemd/user/key2oauth.service", "/usr/share/licenses/key2oauth/THIRD_PARTY_LICENSES"} {
		if !slices.Contains(files, want) {
			t.Errorf("the package lacks %s", want)
		}
	}
	run("--root", root, "-e", "key2oauth")
	for _, name := range files {
		if info, err := os.Lstat(filepath.Join(root, name)); err == nil && !info.IsDir() {
			t.Errorf("left after the package was removed: %s", name)
		}
	}
}
