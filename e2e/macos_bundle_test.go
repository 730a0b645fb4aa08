package e2e

import (
	"bytes"
	"debug/macho"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// TestMacOSBundle checks the bundle and its disk image, as far as another
// system can. This build of the program has no tray, and only the linker has
// signed it.
func TestMacOSBundle(t *testing.T) {
	t.Parallel()
	isoinfo := testenv.Need(t, "isoinfo")
	m := released(t)
	image := m.file("installers/Key2OAuth-" + m.version + "-macos.dmg")
	read := func(args ...string) []byte {
		t.Helper()
		var stderr bytes.Buffer
		cmd := exec.Command(isoinfo, append([]string{"-R", "-i", image}, args...)...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("isoinfo %s: %v\n%s", strings.Join(args, " "), err, &stderr)
		}
		return out
	}
	const contents = "/Key2OAuth.app/Contents"
	list := string(read("-l"))
	for _, want := range []string{"Applications -> /Applications", "Info.plist", "key2oauth.icns", "PkgInfo"} {
		if !strings.Contains(list, want) {
			t.Errorf("the image lacks %q:\n%s", want, list)
		}
	}

	info := plist(t, read("-x", contents+"/Info.plist"))
	numbers, _, _ := strings.Cut(m.version, "-")
	for key, want := range map[string]string{
		"LSUIElement":                "true", // only in the menu bar
		"CFBundleExecutable":         "key2oauth",
		"CFBundleIconFile":           "key2oauth",
		"CFBundleIdentifier":         "com.github.key2oauth.key2oauth",
		"CFBundlePackageType":        "APPL",
		"CFBundleShortVersionString": numbers,
		"CFBundleVersion":            numbers,
	} {
		if info[key] != want {
			t.Errorf("%s is %q, want %q", key, info[key], want)
		}
	}

	icon, err := os.ReadFile(filepath.Join("..", "icons", "app", "key2oauth.icns"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read("-x", contents+"/Resources/"+info["CFBundleIconFile"]+".icns"), icon) {
		t.Error("the icon is not ours")
	}
	program := read("-x", contents+"/MacOS/"+info["CFBundleExecutable"])
	if got, want := machine(t, program), "CpuAmd64 CpuArm64"; got != want {
		t.Errorf("the program is for %s, want %s", got, want)
	}
	if !bytes.Equal(program, unpack(t, m.file("*_macos_universal.tar.gz"))["key2oauth"]) {
		t.Error("the program in the archive differs from the one in the bundle")
	}
	fat, err := macho.NewFatFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range fat.Arches {
		// macOS refuses unsigned programs on Apple processors.
		const codeSignature = 0x1d
		signed := false
		for _, load := range a.Loads {
			signed = signed || a.ByteOrder.Uint32(load.Raw()) == codeSignature
		}
		if a.Cpu == macho.CpuArm64 && !signed {
			t.Errorf("the program for %s has no signature at all", a.Cpu)
		}
	}
}

// plist reads the keys and values of a flat property list.
func plist(t *testing.T, b []byte) map[string]string {
	t.Helper()
	var list struct {
		Dict struct {
			Items []struct {
				XMLName xml.Name
				Text    string `xml:",chardata"`
			} `xml:",any"`
		} `xml:"dict"`
	}
	if err := xml.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	values := make(map[string]string)
	key := ""
	for _, item := range list.Dict.Items {
		switch item.XMLName.Local {
		case "key":
			key = item.Text
		case "true", "false":
			values[key] = item.XMLName.Local
		default:
			values[key] = item.Text
		}
	}
	return values
}
