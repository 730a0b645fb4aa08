//go:build !windows

package main

import "github.com/spf13/cobra"

// installerCommands are for the installer alone, which only Windows needs.
func (p *program) installerCommands() []*cobra.Command { return nil }
