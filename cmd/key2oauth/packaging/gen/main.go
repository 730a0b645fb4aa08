// Gen makes the files that packages hold besides the program: the manual page,
// what shells complete with, the changelog that Debian asks for, and the
// resources that the programs for Windows are linked with. Goreleaser runs it
// before it builds; by hand:
//
//	go run ./cmd/key2oauth/packaging/gen -version 1.2.3
package main

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/licenses"
)

// The folders, from the root of the repository. Git ignores them.
const (
	program = "cmd/key2oauth" // where the linker looks for resources
	out     = "cmd/key2oauth/packaging/out"
)

// A release is what the files are made for.
type release struct {
	version  string
	date     time.Time
	snapshot bool
}

func main() {
	version := flag.String("version", "", "the `version` of the release, without a v")
	date := flag.Int64("date", time.Now().Unix(), "the release's time, in `seconds` since 1970")
	snapshot := flag.Bool("snapshot", false, "make a certificate to try signing with")
	flag.Parse()
	if err := run(release{*version, time.Unix(*date, 0).UTC(), *snapshot}); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

var versionForm = regexp.MustCompile(`^(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?$`)

func run(r release) error {
	if !versionForm.MatchString(r.version) {
		return fmt.Errorf("-version %q is not like 1.2.3 or 1.2.3-rc.1", r.version)
	}
	// Without git there is no commit, and every file would be of the year 1.
	if r.date.Year() < 2026 {
		return fmt.Errorf("-date is in %d: the source has no commit to take the date from; build from a git checkout", r.date.Year())
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	exe := filepath.Join(out, "host", "key2oauth")
	if err := build(exe, "./"+program, "-ldflags", "-X main.releaseVersion="+r.version); err != nil {
		return err
	}
	// Goreleaser runs it with an environment in which the go command may not work.
	if err := build(filepath.Join(out, "bin", "sbom"), "./cmd/key2oauth/packaging/sbom"); err != nil {
		return err
	}
	for name, args := range map[string][]string{
		"key2oauth.1":                {"manual"},
		"completions/key2oauth":      {"completion", "bash"},
		"completions/_key2oauth":     {"completion", "zsh"},
		"completions/key2oauth.fish": {"completion", "fish"},
		"completions/key2oauth.ps1":  {"completion", "powershell"},
	} {
		b, err := exec.Command(exe, args...).Output()
		if err != nil {
			return fmt.Errorf("key2oauth %v: %w", args, err)
		}
		if err := write(name, b); err != nil {
			return err
		}
	}
	page, err := os.ReadFile(filepath.Join(out, "key2oauth.1"))
	if err != nil {
		return err
	}
	if err := write("key2oauth.1.gz", r.compress(page)); err != nil {
		return err
	}
	if err := write("changelog.gz", r.compress([]byte(r.debianChangelog()))); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Dir(exe)); err != nil {
		return err
	}
	if err := r.licenses(); err != nil {
		return err
	}
	changes, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return err
	}
	notes, err := r.notes(string(changes))
	if err != nil {
		return err
	}
	if err := write("notes.md", []byte(notes)); err != nil {
		return err
	}
	if r.snapshot {
		if err := selfSigned(); err != nil {
			return err
		}
	}
	picture, err := wizard()
	if err != nil {
		return err
	}
	if err := write("wizard.bmp", picture); err != nil {
		return err
	}
	return r.resources()
}

// build builds a program for this machine.
func build(out, pkg string, flags ...string) error {
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", out, pkg)...)
	cmd.Env = append(os.Environ(), "GOOS=", "GOARCH=", "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, b)
	}
	return nil
}

// licenses writes the notices that each system's packages carry for the code of
// others.
func (r release) licenses() error {
	for _, system := range licenses.Systems {
		var b bytes.Buffer
		if err := licenses.Write(&b, system); err != nil {
			return err
		}
		if err := write("licenses/"+system+"/THIRD_PARTY_LICENSES", b.Bytes()); err != nil {
			return err
		}
		if system != "linux" {
			continue
		}
		if err := write("licenses/linux/THIRD_PARTY_LICENSES.gz", r.compress(b.Bytes())); err != nil {
			return err
		}
	}
	return nil
}

// notes returns the section of the changelog about this version, for the page of
// the release. A snapshot takes the newest section.
func (r release) notes(changelog string) (string, error) {
	for section := range strings.SplitSeq(changelog, "\n## ") {
		title, text, _ := strings.Cut(section, "\n")
		version, _, _ := strings.Cut(title, " ")
		if version == r.version || r.snapshot && versionForm.MatchString(version) {
			return strings.TrimSpace(text) + "\n", nil
		}
	}
	return "", fmt.Errorf("CHANGELOG.md has no section for version %s", r.version)
}

func write(name string, content []byte) error {
	name = filepath.Join(out, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}

// compress leaves out the time of day: the same source must make the same
// packages.
func (r release) compress(b []byte) []byte {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // a buffer takes everything
	}
	return buf.Bytes()
}

// debianVersion orders what comes before a release before it.
func (r release) debianVersion() string {
	m := versionForm.FindStringSubmatch(r.version)
	v := m[1] + "." + m[2] + "." + m[3]
	if m[4] != "" {
		v += "~" + m[4][1:]
	}
	return v
}

// debianChangelog is the changelog that Debian Policy, Section 4.4 asks for: the
// version, and where to read more.
func (r release) debianChangelog() string {
	return fmt.Sprintf(`key2oauth (%s) unstable; urgency=medium

  * What has changed is in CHANGELOG.md of the source.

 -- Key2OAuth <key2oauth@users.noreply.github.com>  %s
`, r.debianVersion(), r.date.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
}
