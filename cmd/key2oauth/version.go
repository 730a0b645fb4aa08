package main

import (
	"context"
	"errors"
	"fmt"
	goversion "go/version"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/cli"
	"github.com/key2oauth/key2oauth/shim/release"
)

// These are set by the linker in released binaries.
var (
	releaseVersion string
	// releaseURL and releaseKey are where the newest version is named, and whose
	// signature counts: see release.NewSource. Without them nothing is looked for.
	releaseURL, releaseKey string
)

// version is the released version, else what the Go toolchain recorded in the
// binary: a module version, or "devel" with the commit.
func version() string {
	if releaseVersion != "" {
		return releaseVersion
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
	var check bool
	cmd := &cobra.Command{
		Use:   "version [flags]",
		Short: "Print the version of this program",
		Long: `Print the version of this program.

With --check it asks once whether there is a newer release. The answer is a signed
version and date, and the request says nothing about you. Nothing is downloaded
or installed. Key2OAuth never asks unless you run this.`,
		Args: cli.Wants(),
	}
	cmd.Flags().BoolVar(&check, "check", false, "ask whether there is a newer release")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		fmt.Fprintln(p.Stdout, versionText())
		if !check {
			return nil
		}
		return p.checkVersion(cmd.Context(), http.DefaultClient)
	}
	return cmd
}

// checkVersion says whether there is a newer release.
func (p *program) checkVersion(ctx context.Context, client *http.Client) error {
	const releases = "releases are listed at https://github.com/key2oauth/key2oauth/releases"
	src, err := release.NewSource(releaseURL, releaseKey)
	if err != nil {
		return err
	}
	if src.IsZero() {
		return cli.Failed(errors.New("this build has no address to ask for the newest version"), releases)
	}
	newest, err := src.Fetch(ctx, client, time.Now())
	switch {
	case err != nil:
		return cli.Failed(fmt.Errorf("whether there is a newer version is not known: %w", err), "try again later; "+releases)
	case release.Newer(newest.Version, version()):
		p.Remark("version %s is available; %s", newest.Version, releases)
	default:
		p.Remark("this is the newest version, as of %s", newest.Date.Format(time.DateOnly))
	}
	return nil
}
