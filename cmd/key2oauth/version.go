package main

import (
	"fmt"
	goversion "go/version"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/cli"
)

// release is set by the linker in released binaries.
var release string

// version is the released version, else what the Go toolchain recorded in the
// binary: a module version, or "devel" with the commit.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	v, dirty := "devel", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			v += "-" + s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	return v + dirty
}

func versionText() string {
	s := fmt.Sprintf("key2oauth %s %s/%s %s", version(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	if note := runtimeNote(runtime.Version()); note != "" {
		s += " (" + note + ")"
	}
	return s
}

// oldestRuntime is the "go" line of go.mod. The go command refuses to build
// with an older one, but a packager may have changed that line.
const oldestRuntime = "go1.26.10"

// runtimeNote warns of a Go runtime that is older than what go.mod asks for.
// Development versions have no number to compare, and are taken as new.
func runtimeNote(v string) string {
	v, _, _ = strings.Cut(v, " ")
	if !goversion.IsValid(v) || goversion.Compare(v, oldestRuntime) >= 0 {
		return ""
	}
	return "older than " + oldestRuntime + ", which has security fixes: install a newer build"
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  cli.Wants(),
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintln(p.Stdout, versionText())
			return nil
		},
	}
}
