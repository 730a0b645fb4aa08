//go:build !windows

package cli

import "github.com/spf13/cobra"

// InstallerCommands are for the installer alone, which only Windows needs.
func (p *Program) InstallerCommands() []*cobra.Command { return nil }
