package main

import (
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/cli"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/licenses"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/logfile"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/manual"
	"github.com/key2oauth/key2oauth/shim"
)

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

// A program is what every command works with.
type program struct {
	cli.Program
	level slog.LevelVar
	tee   logfile.Tee // what log lines are written to
}

func newRoot(p *program) *cobra.Command {
	p.tee.Stderr = p.Stderr
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
			return cli.UnknownCommand(cmd, args[0])
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
		return cli.Usage("see "+cmd.CommandPath()+" --help", "%w", err)
	})
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		return p.prepare(cmd)
	}
	pf := root.PersistentFlags()
	pf.SortFlags = false
	pf.StringVar(&p.DataDir, "data-dir", "", "the `folder` for all data (default "+dirForPeople()+")")
	cli.WithEnv(pf, "data-dir")
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
	add(groupApp, p.serveCommand(), p.OpenCommand(), p.StatusCommand(), p.DoctorCommand(), p.PauseCommand(), p.ResumeCommand(), p.QuitCommand(), p.TunnelCommand(), p.demoCommand())
	add(groupServers, p.AddCommand(), p.ListCommand(), p.URLCommand(), p.KeyCommand(), p.RemoveCommand())
	add(groupGrants, p.GrantsCommand(), p.DisconnectCommand())
	add(groupAbout, p.TokenCommand(), p.backupCommand(), p.restoreCommand(), p.deleteCommand(), p.versionCommand(), licenses.Command(&p.Program))
	root.AddCommand(p.keychainHelperCommand(), manual.Command(&p.Program))
	root.AddCommand(p.InstallerCommands()...)
	root.SetHelpCommand(helpCommand(root))
	return root
}

// prepare runs before every command. It reads the environment and chooses the
// data folder.
func (p *program) prepare(cmd *cobra.Command) error {
	if err := cli.ReadEnv(cmd.Flags()); err != nil {
		return err
	}
	p.DirChosen = p.DataDir != ""
	if !p.DirChosen {
		dir, err := os.UserConfigDir()
		if err != nil {
			return cli.Usage("choose one with --data-dir", "there is no default data folder: %w", err)
		}
		p.DataDir = filepath.Join(dir, "key2oauth")
	}
	dir, err := filepath.Abs(p.DataDir)
	if err != nil {
		return err
	}
	p.DataDir = dir
	return nil
}

// atLoginFlag is the flag that the program is started with at login.
const atLoginFlag = "at-login"

// dirForPeople is the default data folder as help shows it. The real path may
// contain the user's name, which does not belong in a pasted help text.
func dirForPeople() string { return "key2oauth in your configuration folder" }

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
				return cli.UnknownCommand(root, rest[0])
			}
			cmd.InitDefaultHelpFlag()
			cmd.InitDefaultVersionFlag()
			return cmd.Help()
		},
	}
}

func (p *program) keychainHelperCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "keychain-helper",
		Short:  "Ask the keychain in a process of its own",
		Hidden: true,
		Args:   cli.Wants(),
		RunE: func(*cobra.Command, []string) error {
			return shim.RunKeychainHelper(p.Stdin, p.Stdout)
		},
	}
}
