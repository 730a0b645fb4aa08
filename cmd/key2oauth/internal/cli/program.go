// Package cli has the commands that talk to the Key2OAuth that is running on a
// data folder: a client of its admin API, how results, remarks and failures are
// printed, how a person is asked, and the commands themselves. The commands
// that run Key2OAuth, or work without it, are in package main.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A Program is what every command works with.
type Program struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer // results go to Stdout, remarks to Stderr
	DataDir        string
	DirChosen      bool   // by a flag or the environment, so DataDir is not the default one
	Version        string // of this program
	RuntimeNote    string // what is wrong with the Go runtime, mostly empty
}

// Remark tells a person something that scripts should not read.
func (p *Program) Remark(format string, args ...any) {
	fmt.Fprintf(p.Stderr, "key2oauth: "+format+"\n", args...)
}

const envAnnotation = "key2oauth_env"

// WithEnv lets the environment set the named flags too.
func WithEnv(fs *pflag.FlagSet, names ...string) {
	for _, name := range names {
		f := fs.Lookup(name)
		env := "KEY2OAUTH_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		f.Usage += " [$" + env + "]"
		fs.SetAnnotation(name, envAnnotation, []string{env})
	}
}

// ReadEnv sets the flags that the command line does not name from the
// environment.
func ReadEnv(fs *pflag.FlagSet) error {
	var err error
	fs.VisitAll(func(f *pflag.Flag) {
		env := f.Annotations[envAnnotation]
		if len(env) == 0 || f.Changed || err != nil {
			return
		}
		if v := os.Getenv(env[0]); v != "" {
			if e := fs.Set(f.Name, v); e != nil {
				err = Usage("", "%s: %w", env[0], e)
			}
		}
	})
	return err
}

// Wants checks that a command has exactly the named arguments.
func Wants(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		hint := "see " + cmd.CommandPath() + " --help"
		if len(args) < len(names) {
			return Usage(hint, "%s: %s is missing", cmd.Name(), names[len(args)])
		}
		// Extra arguments are not repeated: one may be an API key.
		if cmd.Name() == "key" || cmd.Name() == "add" {
			hint = "a key is read from standard input, never from the command line; " + hint
		}
		if len(names) == 0 {
			return Usage(hint, "%s takes no arguments", cmd.Name())
		}
		return Usage(hint, "%s takes only %s", cmd.Name(), strings.Join(names, " "))
	}
}

// UnknownCommand is the usage error for a command that does not exist.
func UnknownCommand(root *cobra.Command, name string) error {
	hint := "see key2oauth help"
	if like := root.SuggestionsFor(name); len(like) > 0 {
		hint = fmt.Sprintf("did you mean: key2oauth %s", like[0])
	}
	return Usage(hint, "unknown command %q", name)
}

// JSONFlag adds --json to a command that lists something.
func JSONFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print JSON, as the admin API answers")
}

// showJSON makes cmd print the answer to a GET of path: by show, or as JSON with
// the flag --json.
func showJSON[T any](p *Program, cmd *cobra.Command, path string, show func(ctx context.Context, c *Client, answer T) error) *cobra.Command {
	asJSON := JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := p.Connect()
		if err != nil {
			return err
		}
		var answer T
		raw, err := c.GetInto(cmd.Context(), path, &answer)
		if err != nil {
			return err
		}
		if *asJSON {
			return p.PrintJSON(raw)
		}
		return show(cmd.Context(), c, answer)
	}
	return cmd
}
