// Package licenses holds the licenses of the code that is linked into the
// program, system by system, with Go's own. They are part of the program, so
// that a copy of it alone still carries them.
//
// "go generate" makes list.json and texts again. Its test fails when they differ
// from the modules that go.mod chooses.
package licenses

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/cli"
)

//go:generate go run ./gen

//go:embed list.json texts
var files embed.FS

// Systems are the values of GOOS that there are releases for.
var Systems = []string{"darwin", "linux", "windows"}

// A Module is someone else's work that is linked into the program.
type Module struct {
	Path    string   `json:"path"` // as "go version -m" names it
	Version string   `json:"version,omitempty"`
	Systems []string `json:"systems"` // the values of GOOS on which it is linked
	SPDX    string   `json:"spdx"`    // its license, as an SPDX expression
	Texts   []string `json:"texts"`   // the names of its license files in texts
}

// All returns every module, in the order of their paths.
func All() ([]Module, error) {
	b, err := files.ReadFile("list.json")
	if err != nil {
		return nil, err
	}
	var all []Module
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("list.json: %w", err)
	}
	return all, nil
}

// Linked returns the modules of a program for one system, a value of GOOS.
func Linked(system string) ([]Module, error) {
	all, err := All()
	return slices.DeleteFunc(all, func(m Module) bool { return !slices.Contains(m.Systems, system) }), err
}

// Command prints them, for this system.
func Command(p *cli.Program) *cobra.Command {
	return &cobra.Command{
		Use:   "licenses",
		Short: "Print the licenses of the code in this program",
		Args:  cli.Wants(),
		RunE: func(*cobra.Command, []string) error {
			return Write(p.Stdout, runtime.GOOS)
		},
	}
}

// Write writes what a package for one system must carry: the modules in a list,
// and then each license once, under the names of all who use it.
func Write(w io.Writer, system string) error {
	linked, err := Linked(system)
	if err != nil {
		return err
	}
	if len(linked) == 0 {
		return fmt.Errorf("there is no list of licenses for %q", system)
	}
	var s strings.Builder
	s.WriteString("Key2OAuth contains work of others. This is what is linked into the program,\nand then the license of each.\n\n")
	users := map[string][]string{}
	for _, m := range linked {
		name := strings.TrimSpace(m.Path + " " + m.Version)
		s.WriteString("  " + name + "\n")
		for _, t := range m.Texts {
			users[t] = append(users[t], name)
		}
	}
	texts := make([]string, 0, len(users))
	for t := range users {
		texts = append(texts, t)
	}
	slices.SortFunc(texts, func(a, b string) int { return cmp.Compare(users[a][0]+a, users[b][0]+b) })
	for _, t := range texts {
		b, err := fs.ReadFile(files, "texts/"+t)
		if err != nil {
			return err
		}
		s.WriteString("\n" + strings.Repeat("=", 78) + "\n" + strings.Join(users[t], "\n") + "\n\n")
		s.WriteString(strings.TrimSpace(strings.ReplaceAll(string(b), "\r\n", "\n")) + "\n")
	}
	_, err = io.WriteString(w, s.String())
	return err
}
