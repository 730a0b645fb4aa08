package e2e

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// A made is the output of .ci/release.
type made struct {
	t       *testing.T
	dir     string
	version string
}

// released returns the output of .ci/release for this source.
func released(t *testing.T) made {
	t.Helper()
	dir := os.Getenv("KEY2OAUTH_TEST_DIST")
	if dir == "" {
		testenv.Skip(t, "needs what .ci/release makes, named by KEY2OAUTH_TEST_DIST")
	}
	b, err := os.ReadFile(filepath.Join(dir, "metadata.json"))
	if err != nil {
		t.Fatal(err)
	}
	var meta struct{ Version string }
	if err := json.Unmarshal(b, &meta); err != nil {
		t.Fatal(err)
	}
	return made{t, dir, meta.Version}
}

// file returns the only file with this name. A star matches anything.
func (m made) file(pattern string) string {
	m.t.Helper()
	found, err := filepath.Glob(filepath.Join(m.dir, filepath.FromSlash(pattern)))
	if err != nil {
		m.t.Fatal(err)
	}
	if len(found) != 1 {
		m.t.Fatalf("%s: there are %d such files, want 1: %v", pattern, len(found), found)
	}
	return found[0]
}

// TestReleaseArchives inspects each archive. It must have the program for its
// system and the files that belong to it.
func TestReleaseArchives(t *testing.T) {
	t.Parallel()
	m := released(t)
	for _, tt := range []struct{ name, program, machine string }{
		{"linux_amd64.tar.gz", "key2oauth", "EM_X86_64"},
		{"linux_arm64.tar.gz", "key2oauth", "EM_AARCH64"},
		{"windows_amd64.zip", "key2oauth.exe", "8664 console"},
		{"windows_arm64.zip", "key2oauth.exe", "aa64 console"},
		{"macos_universal.tar.gz", "key2oauth", "CpuAmd64 CpuArm64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := unpack(t, m.file("key2oauth_"+m.version+"_"+tt.name))
			for _, name := range []string{"LICENSE", "THIRD_PARTY_LICENSES", "README.md", "CHANGELOG.md", "key2oauth.1", "completions/key2oauth",
				"completions/_key2oauth", "completions/key2oauth.fish", "completions/key2oauth.ps1"} {
				if len(files[name]) == 0 {
					t.Errorf("%s is missing", name)
				}
			}
			if got := machine(t, files[tt.program]); got != tt.machine {
				t.Errorf("%s is for %s, want %s", tt.program, got, tt.machine)
			}
			if !bytes.Contains(files[tt.program], []byte(m.version)) {
				t.Errorf("%s does not name version %s", tt.program, m.version)
			}
			checkLicenses(t, files[tt.program], string(files["THIRD_PARTY_LICENSES"]), tt.name)
			if page := string(files["key2oauth.1"]); !strings.Contains(page, "key2oauth "+strings.ReplaceAll(m.version, "-", `\-`)) {
				t.Errorf("the manual page is not of version %s", m.version)
			}
		})
	}
	program := filepath.Join(t.TempDir(), "key2oauth")
	if err := os.WriteFile(program, unpack(t, m.file("*_linux_amd64.tar.gz"))["key2oauth"], 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "version").Output(); err != nil || !strings.HasPrefix(string(out), "key2oauth "+m.version+" ") {
		t.Errorf("key2oauth version = %q, %v, want %s", out, err, m.version)
	}
}

// TestReleaseSBOMs reads what each program is said to be made of, by the library
// of those who wrote the specification, and compares it with the program.
func TestReleaseSBOMs(t *testing.T) {
	t.Parallel()
	m := released(t)
	for name, archive := range map[string]string{
		"linux_amd64": "linux_amd64.tar.gz", "linux_arm64": "linux_arm64.tar.gz", "windows_amd64": "windows_amd64.zip",
		"windows_arm64": "windows_arm64.zip", "macos_universal": "macos_universal.tar.gz",
	} {
		f, err := os.Open(m.file("key2oauth_" + m.version + "_" + name + ".spdx.json"))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := spdxjson.Read(f)
		f.Close()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := spdxlib.ValidateDocument(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		files := unpack(t, m.file("key2oauth_"+m.version+"_"+archive))
		program := files["key2oauth"]
		if strings.HasPrefix(name, "windows") {
			program = files["key2oauth.exe"]
		}
		info, err := buildinfo.Read(bytes.NewReader(program))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"key2oauth " + m.version, "stdlib " + info.GoVersion}
		for _, d := range info.Deps {
			want = append(want, d.Path+" "+d.Version)
		}
		var got []string
		for _, p := range doc.Packages {
			got = append(got, p.PackageName+" "+p.PackageVersion)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-linked +listed):\n%s", name, d)
		}
		sum := sha256.Sum256(program)
		if sums := doc.Packages[0].PackageChecksums; !strings.HasPrefix(name, "windows") && (len(sums) != 1 || sums[0].Value != hex.EncodeToString(sum[:])) {
			t.Errorf("%s is about another program", name)
		}
	}
}

// checkLicenses compares the modules that are linked into a program, as "go
// version -m" prints them, with those that the text beside it names.
func checkLicenses(t *testing.T, program []byte, text, archive string) {
	t.Helper()
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "  ") && strings.Contains(line, " v") {
			named++
		}
		if strings.HasPrefix(line, "====") {
			break
		}
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		if !strings.Contains(text, "\n  "+m.Path+" "+m.Version+"\n") {
			t.Errorf("THIRD_PARTY_LICENSES does not name %s %s", m.Path, m.Version)
		}
	}
	// Made on Linux, the program for macOS has no tray, so its list names more.
	tray := strings.HasPrefix(archive, "macos") && runtime.GOOS != "darwin"
	if named != len(info.Deps) && !tray {
		t.Errorf("THIRD_PARTY_LICENSES names %d modules, %d are linked", named, len(info.Deps))
	}
}

// unpack reads an archive of one folder, and returns the content of the folder.
func unpack(t *testing.T, name string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	add := func(name string, r io.Reader) {
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_, inside, _ := strings.Cut(path.Clean(name), "/")
		files[inside] = b
	}
	if strings.HasSuffix(name, ".zip") {
		z, err := zip.OpenReader(name)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			add(f.Name, r)
		}
		return files
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			add(h.Name, r)
		}
	}
}

// machine returns the processor that a program is for, and on Windows whether
// it opens a console.
func machine(t *testing.T, program []byte) string {
	t.Helper()
	r := bytes.NewReader(program)
	if f, err := elf.NewFile(r); err == nil {
		return f.Machine.String()
	}
	if f, err := pe.NewFile(r); err == nil {
		kind := map[uint16]string{pe.IMAGE_SUBSYSTEM_WINDOWS_CUI: "console", pe.IMAGE_SUBSYSTEM_WINDOWS_GUI: "gui"}
		header := f.OptionalHeader.(*pe.OptionalHeader64)
		return hex.EncodeToString([]byte{byte(f.Machine >> 8), byte(f.Machine)}) + " " + kind[header.Subsystem]
	}
	f, err := macho.NewFatFile(r)
	if err != nil {
		t.Fatalf("no program for any system: %v", err)
	}
	var cpus []string
	for _, a := range f.Arches {
		cpus = append(cpus, a.Cpu.String())
	}
	slices.Sort(cpus)
	return strings.Join(cpus, " ")
}

// TestReleaseChecksums compares the list of checksums with the files. Every
// published file must be on the list.
func TestReleaseChecksums(t *testing.T) {
	t.Parallel()
	m := released(t)
	list, err := os.ReadFile(m.file("*_checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	sums := make(map[string]string)
	for line := range strings.Lines(string(list)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		sums[name] = sum
	}
	err = filepath.WalkDir(m.dir, func(name string, d fs.DirEntry, err error) error {
		base := filepath.Base(name)
		switch {
		case err != nil:
			return err
		case d.IsDir() && base == "old":
			return filepath.SkipDir
		case d.IsDir() || !slices.Contains([]string{".gz", ".zip", ".deb", ".rpm", ".exe", ".dmg", ".json"}, filepath.Ext(name)):
			return nil
		case !strings.Contains(base, strings.TrimSuffix(m.version, "-snapshot")):
			return nil // a program that goes into a package
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if got := sha256.Sum256(b); hex.EncodeToString(got[:]) != sums[base] {
			t.Errorf("%s has the checksum %x, the list says %q", base, got, sums[base])
		}
		delete(sums, base)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range sums {
		t.Errorf("the list names %s, which was not made", name)
	}
}
