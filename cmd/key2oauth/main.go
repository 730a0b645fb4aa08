// Key2oauth lets apps that sign in with OAuth use MCP servers that only take an
// API key. It runs on the computer of the person who owns the keys.
//
// "key2oauth help" lists the commands. Without a command, the program is the
// server itself, with an icon in the tray; the commands talk to the one that is
// running on the same data folder.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/cli"
)

func main() {
	// A terminal that is closed ends the program like Ctrl-C: calls may finish.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	os.Exit(cli.Report(os.Stderr, err))
}

// run is the whole program. It returns when the command is done or, after ctx
// has ended, cleaned up.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	root := newRoot(&program{Program: cli.Program{
		Stdin: stdin, Stdout: stdout, Stderr: stderr, Version: version(), RuntimeNote: runtimeNote(runtime.Version()),
	}})
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return root.ExecuteContext(ctx)
}
