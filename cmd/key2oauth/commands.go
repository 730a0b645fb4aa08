package main

import (
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

// A program is what every command works with.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer // results go to stdout, remarks to stderr
	dataDir        string
	level          slog.LevelVar
}

// remark tells a person something that scripts should not read.
func (p *program) remark(format string, args ...any) {
	fmt.Fprintf(p.stderr, "key2oauth: "+format+"\n", args...)
}

// The groups that help shows.
const (
	groupApp     = "app"
	groupServers = "servers"
	groupGrants  = "grants"
	groupAbout   = "about"
)

func init() {
	cobra.MousetrapHelpText = "" // or it refuses to start from the Explorer
	cobra.EnableCommandSorting = false
}

func newRoot(p *program) *cobra.Command {
	var opts appOptions
	root := &cobra.Command{
		Use:   "key2oauth [flags]",
		Short: "Use MCP servers that need an API key in apps that sign in with OAuth",
		Long: `Key2OAuth lets apps that sign in with OAuth, such as claude.ai and ChatGPT, use
MCP servers that only take an API key. It runs on your computer, and your keys
stay there, encrypted.

Without a command, Key2OAuth starts, with an icon in the tray. The commands talk
to the Key2OAuth that is running on the same data folder.`,
		Example: `  key2oauth                                  start Key2OAuth
  key2oauth add https://example.com/mcp      add a server, print its address
  key2oauth open                             open the Key2OAuth window
  key2oauth demo                             try it with a sample server`,
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
		return usage("see "+cmd.CommandPath()+" --help", "%w", err)
	})
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		return p.prepare(cmd)
	}
	pf := root.PersistentFlags()
	pf.SortFlags = false
	pf.StringVar(&p.dataDir, "data-dir", "", "the `folder` for all data (default "+dirForPeople()+")")
	withEnv(pf, "data-dir")
	opts.addFlags(root.Flags())
	root.Flags().BoolVar(&opts.atLogin, atLoginFlag, false, "open no window")
	root.Flags().MarkHidden(atLoginFlag)

	root.AddGroup(
		&cobra.Group{ID: groupApp, Title: "Key2OAuth:"},
		&cobra.Group{ID: groupServers, Title: "Servers and keys:"},
		&cobra.Group{ID: groupGrants, Title: "Connected apps:"},
		&cobra.Group{ID: groupAbout, Title: "Other:"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupApp, p.serveCommand(), p.openCommand(), p.statusCommand(), p.doctorCommand(), p.pauseCommand(), p.resumeCommand(), p.quitCommand(), p.tunnelCommand(), p.demoCommand())
	add(groupServers, p.addCommand(), p.listCommand(), p.urlCommand(), p.keyCommand(), p.removeCommand())
	add(groupGrants, p.grantsCommand(), p.disconnectCommand())
	add(groupAbout, p.tokenCommand(), p.deleteCommand(), p.versionCommand())
	root.AddCommand(p.keychainHelperCommand(), p.manualCommand())
	root.AddCommand(p.installerCommands()...)
	root.SetHelpCommand(helpCommand(root))
	return root
}

// prepare runs before every command. It reads the environment and chooses the
// data folder.
func (p *program) prepare(cmd *cobra.Command) error {
	if err := readEnv(cmd.Flags()); err != nil {
		return err
	}
	if p.dataDir == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return usage("choose one with --data-dir", "there is no default data folder: %w", err)
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

// atLoginFlag is the flag that the program is started with at login.
const atLoginFlag = "at-login"

// dirForPeople is the default data folder as help shows it. The real path may
// contain the user's name, which does not belong in a pasted help text.
func dirForPeople() string { return "key2oauth in your configuration folder" }

const envAnnotation = "key2oauth_env"

// withEnv lets the environment set the named flags too.
func withEnv(fs *pflag.FlagSet, names ...string) {
	for _, name := range names {
		f := fs.Lookup(name)
		env := "KEY2OAUTH_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		f.Usage += " [$" + env + "]"
		fs.SetAnnotation(name, envAnnotation, []string{env})
	}
}

// readEnv sets the flags that the command line does not name from the
// environment.
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

// wants checks that a command has exactly the named arguments.
func wants(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		hint := "see " + cmd.CommandPath() + " --help"
		if len(args) < len(names) {
			return usage(hint, "%s: %s is missing", cmd.Name(), names[len(args)])
		}
		// Extra arguments are not repeated: one may be an API key.
		if cmd.Name() == "key" || cmd.Name() == "add" {
			hint = "a key is read from standard input, never from the command line; " + hint
		}
		if len(names) == 0 {
			return usage(hint, "%s takes no arguments", cmd.Name())
		}
		return usage(hint, "%s takes only %s", cmd.Name(), strings.Join(names, " "))
	}
}

// helpCommand is cobra's, except that an unknown command is a usage error.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Show how to use a command",
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
	hint := "see key2oauth help"
	if like := root.SuggestionsFor(name); len(like) > 0 {
		hint = fmt.Sprintf("did you mean: key2oauth %s", like[0])
	}
	return usage(hint, "unknown command %q", name)
}

// jsonFlag adds --json to a command that lists something.
func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print JSON, as the admin API answers")
}

func (p *program) keychainHelperCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "keychain-helper",
		Short:  "Ask the keychain in a process of its own",
		Hidden: true,
		Args:   wants(),
		RunE: func(*cobra.Command, []string) error {
			return shim.RunKeychainHelper(p.stdin, p.stdout)
		},
	}
}
