package cli

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/userpath"
)

// InstallerCommands are for the installer alone.
func (p *Program) InstallerCommands() []*cobra.Command {
	change := func(name, short string, f func(dir string) error) *cobra.Command {
		return &cobra.Command{
			Use: name, Short: short, Hidden: true, Args: Wants(),
			RunE: func(*cobra.Command, []string) error {
				exe, err := os.Executable()
				if err != nil {
					return err
				}
				return f(filepath.Dir(exe))
			},
		}
	}
	return []*cobra.Command{
		change("path-add", "Put the folder of this program on the user's PATH", userpath.Add),
		change("path-remove", "Take the folder of this program off the user's PATH", userpath.Remove),
	}
}
