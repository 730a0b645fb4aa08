// Key2oauth lets apps that sign in with OAuth use MCP servers that only take an
// API key. It runs on the computer of the person who owns the keys.
//
// "key2oauth help" lists the commands. Without a command, the program is the
// server itself, with an icon in the tray; the commands talk to the one that is
// running on the same data folder.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	os.Exit(report(os.Stderr, err))
}

// run is the whole program. It returns when the command is done or, after ctx
// has ended, cleaned up.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	root := newRoot(&program{stdin: stdin, stdout: stdout, stderr: stderr})
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return root.ExecuteContext(ctx)
}

// Exit codes. Scripts depend on them.
const (
	exitFailed     = 1
	exitUsage      = 2
	exitNotRunning = 3
)

// A failure is an error with its exit code and, mostly, what a person can do
// about it. Other errors have the exit code 1.
type failure struct {
	code int
	err  error
	hint string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// usage is a mistake in how the program was called.
func usage(hint, format string, args ...any) error {
	return &failure{code: exitUsage, err: fmt.Errorf(format, args...), hint: hint}
}

// failed adds to err what to do next.
func failed(err error, hint string) error {
	return &failure{code: exitFailed, err: err, hint: hint}
}

// report says why the program ends, and returns the exit code.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	if errors.Is(err, context.Canceled) {
		return exitFailed // the person who pressed Ctrl-C knows why
	}
	fmt.Fprintf(stderr, "key2oauth: %s\n", printable(err.Error()))
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return exitFailed
	}
	if f.hint != "" {
		fmt.Fprintf(stderr, "key2oauth: hint: %s\n", f.hint)
	}
	return f.code
}
