package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/key2oauth/key2oauth/shim"
)

// A program is what every command has at hand.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer // results go to stdout, remarks to stderr
	dataDir        string
	level          slog.LevelVar
}

// remark tells a person something that no script should read.
func (p *program) remark(format string, args ...any) {
	fmt.Fprintf(p.stderr, "key2oauth: "+format+"\n", args...)
}

// The groups that help shows.
const (
	groupApp       = "app"
	groupEndpoints = "endpoints"
	groupGrants    = "grants"
	groupAbout     = "about"
)

func init() {
	cobra.MousetrapHelpText = "" // else it refuses to be started from the Explorer
	cobra.EnableCommandSorting = false
}

func newRoot(p *program) *cobra.Command {
	var opts appOptions
	root := &cobra.Command{
		Use:   "key2oauth [flags]",
		Short: "Use API-key MCP servers from clients that know only OAuth",
		Long: `Key2OAuth lets MCP clients that know only OAuth (claude.ai, ChatGPT, Cursor)
use MCP servers that know only API keys. It runs on your machine, and your API
keys stay there, sealed.

Without a command it is the app: it serves until it is ended. The commands
below talk to the app that runs on the same data folder.`,
		Example: `  key2oauth                                  start the app
  key2oauth add https://example.com/mcp      make an endpoint, print its URL
  key2oauth open                             open the dashboard
  key2oauth demo                             try it with nothing else`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(cmd, args[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.desktop(cmd.Context(), opts, cmd.Flags())
		},
		Version:                    versionText(),
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		CompletionOptions:          cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(fmt.Sprintf("%q shows the flags", cmd.CommandPath()+" --help"), "%w", err)
	})
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		return p.prepare(cmd)
	}
	pf := root.PersistentFlags()
	pf.SortFlags = false
	pf.StringVar(&p.dataDir, "data-dir", "", "the `folder` that holds everything (default "+dirForPeople()+")")
	withEnv(pf, "data-dir")
	opts.addFlags(root.Flags())
	root.Flags().BoolVar(&opts.atLogin, atLoginFlag, false, "open nothing by itself")
	root.Flags().MarkHidden(atLoginFlag)

	root.AddGroup(
		&cobra.Group{ID: groupApp, Title: "The app:"},
		&cobra.Group{ID: groupEndpoints, Title: "Endpoints and their API keys:"},
		&cobra.Group{ID: groupGrants, Title: "Connected clients:"},
		&cobra.Group{ID: groupAbout, Title: "Other:"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupApp, p.serveCommand(), p.openCommand(), p.statusCommand(), p.doctorCommand(), p.pauseCommand(), p.resumeCommand(), p.quitCommand(), p.tunnelCommand(), p.demoCommand())
	add(groupEndpoints, p.addCommand(), p.listCommand(), p.urlCommand(), p.keyCommand(), p.removeCommand())
	add(groupGrants, p.grantsCommand(), p.revokeCommand())
	add(groupAbout, p.tokenCommand(), p.deleteCommand(), p.versionCommand())
	root.AddCommand(p.keychainHelperCommand(), p.manualCommand())
	root.AddCommand(p.installerCommands()...)
	root.SetHelpCommand(helpCommand(root))
	return root
}

// prepare runs before every command: it reads the environment and settles the
// data folder.
func (p *program) prepare(cmd *cobra.Command) error {
	if err := readEnv(cmd.Flags()); err != nil {
		return err
	}
	if p.dataDir == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return usage("name the data folder with --data-dir", "there is no default data folder: %w", err)
		}
		p.dataDir = filepath.Join(dir, "key2oauth")
	}
	dir, err := filepath.Abs(p.dataDir)
	if err != nil {
		return err
	}
	p.dataDir = dir
	return nil
}

// atLoginFlag is what login passes to the program.
const atLoginFlag = "at-login"

// dirForPeople is the default data folder as help shows it. The real one may
// hold the user's name, which does not belong in a pasted help text.
func dirForPeople() string { return "key2oauth in your configuration folder" }

const envAnnotation = "key2oauth_env"

// withEnv makes the named flags readable from the environment too.
func withEnv(fs *pflag.FlagSet, names ...string) {
	for _, name := range names {
		f := fs.Lookup(name)
		env := "KEY2OAUTH_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		f.Usage += " [$" + env + "]"
		fs.SetAnnotation(name, envAnnotation, []string{env})
	}
}

// readEnv sets the flags that the command line left out from the environment.
func readEnv(fs *pflag.FlagSet) error {
	var err error
	fs.VisitAll(func(f *pflag.Flag) {
		env := f.Annotations[envAnnotation]
		if len(env) == 0 || f.Changed || err != nil {
			return
		}
		if v := os.Getenv(env[0]); v != "" {
			if e := fs.Set(f.Name, v); e != nil {
				err = usage("", "%s: %w", env[0], e)
			}
		}
	})
	return err
}

// wants checks that a command has just the named arguments.
func wants(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		hint := fmt.Sprintf("%q says more", cmd.CommandPath()+" --help")
		if len(args) < len(names) {
			return usage(hint, "%s: %s is missing", cmd.Name(), names[len(args)])
		}
		// What is too much is not repeated: it may be an API key.
		if cmd.Name() == "key" || cmd.Name() == "add" {
			hint = "an API key is read from standard input, never from the command line; " + hint
		}
		return usage(hint, "%s: more arguments than %s", cmd.Name(), cmp.Or(strings.Join(names, " "), "none"))
	}
}

// helpCommand is cobra's, but that what is unknown is wrong usage.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Show how a command is used",
		GroupID: groupAbout,
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return unknownCommand(root, rest[0])
			}
			cmd.InitDefaultHelpFlag()
			cmd.InitDefaultVersionFlag()
			return cmd.Help()
		},
	}
}

func unknownCommand(root *cobra.Command, name string) error {
	hint := `"key2oauth help" lists the commands`
	if like := root.SuggestionsFor(name); len(like) > 0 {
		hint = fmt.Sprintf("did you mean %q?", "key2oauth "+like[0])
	}
	return usage(hint, "unknown command %q", name)
}

// jsonFlag adds --json to a command that lists something.
func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print the app's own JSON answer")
}

func (p *program) keychainHelperCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "keychain-helper",
		Short:  "Ask the keychain for the app, which must not wait for it",
		Hidden: true,
		Args:   wants(),
		RunE: func(*cobra.Command, []string) error {
			return shim.RunKeychainHelper(p.stdin, p.stdout)
		},
	}
}
