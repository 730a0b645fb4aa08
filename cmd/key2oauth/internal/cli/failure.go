package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Exit codes. Scripts depend on them.
const (
	ExitFailed     = 1
	ExitUsage      = 2
	ExitNotRunning = 3
)

// A Failure is an error with its exit code and, in most cases, what a person
// can do about it. Other errors have the exit code 1.
type Failure struct {
	Code int
	err  error
	hint string
}

func (f *Failure) Error() string { return f.err.Error() }

func (f *Failure) Unwrap() error { return f.err }

// Usage is a mistake in how the program was called.
func Usage(hint, format string, args ...any) error {
	return &Failure{Code: ExitUsage, err: fmt.Errorf(format, args...), hint: hint}
}

// Failed adds to err what to do next.
func Failed(err error, hint string) error {
	return &Failure{Code: ExitFailed, err: err, hint: hint}
}

// Report says why the program ends, and returns the exit code.
func Report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	if errors.Is(err, context.Canceled) {
		return ExitFailed // the person who pressed Ctrl-C knows why
	}
	fmt.Fprintf(stderr, "key2oauth: %s\n", Printable(err.Error()))
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		return ExitFailed
	}
	if f.hint != "" {
		fmt.Fprintf(stderr, "key2oauth: hint: %s\n", f.hint)
	}
	return f.Code
}
