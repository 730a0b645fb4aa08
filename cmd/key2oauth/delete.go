package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/cli"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/instance"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/logfile"
	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
)

func (p *program) deleteCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete-everything [flags]",
		Short: "Delete all data of Key2OAuth on this computer, and quit it",
		Long: `Delete all data of Key2OAuth on this computer: servers, keys, connected apps,
activity, the ngrok authtoken, settings, the encryption key in the keychain, and
the entry that starts it at login. If Key2OAuth is running, it quits. Only the
program itself is left.

It first lists what it deletes. On a terminal it then asks; elsewhere it needs
--yes. It is not an error if there is nothing to delete. Other data folders
(--data-dir) keep their own encryption keys and keep working.`,
		Example: `  key2oauth delete-everything
  key2oauth delete-everything --yes          before an uninstall`,
		Args: cli.Wants(),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		if !yes {
			if _, ok := p.Terminal(); !ok {
				return cli.Usage("add --yes to delete everything", "cannot ask for confirmation here (no terminal)")
			}
			p.nameBelongings()
			if ok, err := p.Confirm(ctx, "Delete all of this?"); err != nil || !ok {
				return err
			}
		} else {
			p.nameBelongings()
		}
		left, err := p.deleteEverything(ctx)
		if err != nil {
			return err
		}
		for _, words := range left {
			p.Remark("%s", cli.Printable(words))
		}
		return nil
	}
	return cmd
}

// nameBelongings lists what is deleted, before it is.
func (p *program) nameBelongings() {
	if _, err := os.Stat(p.DataDir); err != nil {
		return
	}
	for _, words := range shim.Belongings(p.DataDir) {
		p.Remark("to delete: %s", cli.Printable(words))
	}
}

// deleteEverything lets the running Key2OAuth do it, or does it here if none is
// running.
func (p *program) deleteEverything(ctx context.Context) (left []string, err error) {
	c, err := p.Connect()
	if f, ok := errors.AsType[*cli.Failure](err); ok && f.Code == cli.ExitNotRunning {
		return p.deleteOffline()
	}
	if err != nil {
		return nil, err
	}
	raw, err := c.Call(ctx, http.MethodDelete, "/api/everything", nil)
	if err != nil {
		return nil, err
	}
	var answer api.Deletion
	if err := cli.Decode(raw, &answer); err != nil {
		return nil, err
	}
	if err := p.WaitEnded("everything was deleted, but Key2OAuth has not quit yet"); err != nil {
		return nil, err
	}
	p.Remark("everything in %s was deleted, and Key2OAuth has quit", cli.Printable(p.DataDir))
	return answer.Left, nil
}

// deleteOffline deletes the data while Key2OAuth is not running.
func (p *program) deleteOffline() (left []string, err error) {
	_, err = os.Stat(filepath.Join(p.DataDir, api.TokenFile))
	if errors.Is(err, fs.ErrNotExist) && !p.isDefaultDir() {
		p.Remark("there is nothing to delete in %s", cli.Printable(p.DataDir))
		return nil, nil
	}
	lock, err := instance.Acquire(p.DataDir)
	if err != nil {
		return nil, cli.Failed(fmt.Errorf("the data folder %s cannot be used: %w", p.DataDir, err), "another program may be using it; try again in a moment")
	}
	left, err = shim.DeleteEverything(p.DataDir, keychainHelper())
	started, e := p.forgetLogin()
	if started != "" {
		left = append(left, started)
	}
	if err = errors.Join(err, logfile.Remove(p.DataDir), lock.Destroy(), e); err != nil {
		return left, cli.Failed(fmt.Errorf("not everything was deleted: %w", err), "delete the data folder "+p.DataDir+" yourself")
	}
	p.Remark("everything in %s was deleted", cli.Printable(p.DataDir))
	return left, nil
}
