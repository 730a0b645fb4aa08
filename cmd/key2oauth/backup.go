package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/cli"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/instance"
	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
)

func (p *program) backupCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "backup FILE [flags]",
		Short: "Save a copy of all servers, keys and connected apps",
		Long: `Save a copy of all servers, keys, connected apps, activity and settings to a file
that only you can read. It works with and without a running Key2OAuth. A FILE
of - is standard output.

The keys in it are encrypted. The encryption key is not in it: it stays in this
computer's keychain, or in the file master.key, which you have to copy yourself.
Without it, every key has to be pasted again. So a backup is for this computer.
To take keys and apps to another one, run: key2oauth open move

Key2OAuth also makes a copy each day, beside its data (state.db.daily-...), and
keeps the last three.`,
		Example: `  key2oauth backup ~/key2oauth-backup.db
  key2oauth backup - | age -p > key2oauth-backup.age`,
		Args: cli.Wants("FILE"),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "replace a file of that name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if args[0] == "" {
			return cli.Usage("for example: key2oauth backup ~/key2oauth-backup.db", "the name of a file is missing")
		}
		if args[0] == "-" {
			return p.backupToStdout(cmd.Context())
		}
		file, err := filepath.Abs(args[0])
		if err != nil {
			return err
		}
		if err := p.backup(cmd.Context(), file, yes); err != nil {
			return err
		}
		p.Remark("saved a backup as %s; put it back with: key2oauth restore FILE", cli.Printable(file))
		return nil
	}
	return cmd
}

// backupToStdout writes the backup to standard output, for another program. It is
// a database, so all of it has to be there before any of it is written.
func (p *program) backupToStdout(ctx context.Context) error {
	if cli.IsTerminal(p.Stdout) {
		return cli.Usage("send it on, for example: key2oauth backup - > key2oauth-backup.db", "a backup is not text, and cannot be shown in a terminal")
	}
	dir, err := os.MkdirTemp("", "key2oauth-backup-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "backup.db")
	if err := p.backup(ctx, file, false); err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(p.Stdout, f)
	return err
}

// backup lets the running Key2OAuth write the file, or does it here if none is
// running.
func (p *program) backup(ctx context.Context, file string, replace bool) error {
	c, err := p.Connect()
	if f, ok := errors.AsType[*cli.Failure](err); ok && f.Code == cli.ExitNotRunning {
		if _, err := os.Lstat(file); err == nil && !replace {
			return cli.Failed(fmt.Errorf("there is a file %s already", file), "add --yes to replace it")
		}
		if !shim.HasState(p.DataDir) {
			return cli.Failed(fmt.Errorf("there is nothing to back up in %s", p.DataDir), "name another data folder with --data-dir")
		}
		lock, err := instance.Acquire(p.DataDir)
		if err != nil {
			return cli.Failed(fmt.Errorf("the data folder %s cannot be used: %w", p.DataDir, err), "another program may be using it; try again in a moment")
		}
		defer lock.Release()
		return shim.Backup(p.DataDir, file)
	}
	if err != nil {
		return err
	}
	_, err = c.Call(ctx, http.MethodPost, "/api/backup", api.Backup{File: file, Replace: replace})
	return err
}

func (p *program) restoreCommand() *cobra.Command {
	var yes, keepApps bool
	cmd := &cobra.Command{
		Use:   "restore FILE [flags]",
		Short: "Replace the saved data with a backup",
		Long: `Replace the saved data with a backup. Quit Key2OAuth first. What is there now is
kept beside it (state.db.before-restore-...).

Servers, keys and settings are then as they were when the backup was made. All
apps are disconnected and have to sign in again: the backup does not know which
apps you disconnected since, or which tokens they have now. With --keep-apps, the
apps in the backup stay connected, even those that you disconnected since.

FILE is one that "key2oauth backup" made, or a copy beside the data
(state.db.daily-..., state.db.before-...).`,
		Example: `  key2oauth quit
  key2oauth restore ~/key2oauth-backup.db`,
		Args: cli.Wants("FILE"),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "replace what is saved now, and do not ask")
	cmd.Flags().BoolVar(&keepApps, "keep-apps", false, "leave the apps in the backup connected")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if args[0] == "" {
			return cli.Usage("for example: key2oauth restore ~/key2oauth-backup.db", "the name of a file is missing")
		}
		return p.restore(cmd.Context(), args[0], yes, keepApps)
	}
	return cmd
}

// isForMoving reports whether a file is the encrypted one that moves everything
// to another computer.
func isForMoving(file string) bool {
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return false // to open a pipe would wait for a writer
	}
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	const age = "age-encryption.org/"
	b := make([]byte, len(age))
	_, err = io.ReadFull(f, b)
	return err == nil && string(b) == age
}

func (p *program) restore(ctx context.Context, file string, yes, keepApps bool) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	if _, err := os.Stat(file); err != nil {
		return cli.Failed(err, "name a file that key2oauth backup made")
	}
	if isForMoving(file) {
		return cli.Failed(fmt.Errorf("%s is for moving to another computer", cli.Printable(file)), "start Key2OAuth here, and take it in with: key2oauth open move")
	}
	lock, err := instance.Acquire(p.DataDir)
	if errors.Is(err, instance.ErrRunning) {
		return cli.Failed(fmt.Errorf("Key2OAuth is running (data folder %s)", p.DataDir), "quit it first with: key2oauth quit")
	}
	if err != nil {
		return cli.Failed(fmt.Errorf("the data folder %s cannot be used: %w", p.DataDir, err), "it must be a folder you can write to; choose another one with --data-dir")
	}
	defer lock.Release()
	if shim.HasState(p.DataDir) && !yes {
		if _, ok := p.Terminal(); !ok {
			return cli.Usage("add --yes to replace what is saved now", "%s has servers, and Key2OAuth cannot ask for confirmation here (no terminal)", p.DataDir)
		}
		question := fmt.Sprintf("Replace what is saved in %s? It is kept beside the restored data.", cli.Printable(p.DataDir))
		if ok, err := p.Confirm(ctx, question); err != nil || !ok {
			return err
		}
	}
	kept, err := shim.Restore(p.DataDir, file, keepApps)
	if err != nil {
		return cli.Failed(err, "nothing was changed")
	}
	p.Remark("restored %s", cli.Printable(file))
	if kept != "" {
		p.Remark("what was there before is kept as %s", cli.Printable(kept))
	}
	if keepApps {
		p.Remark("apps that were connected when the backup was made are connected again: look through them with: key2oauth grants")
	} else {
		p.Remark("apps have to sign in again")
	}
	return nil
}
