package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/key2oauth/key2oauth/shim/display"
)

// maxKey is longer than any API key. The server refuses much shorter ones with
// better words.
const maxKey = 64 << 10

// ReadKey reads an API key from standard input.
func (p *Program) ReadKey(ctx context.Context) (string, error) {
	key, err := p.ReadSecret(ctx, "API key")
	if err == nil && key == "" {
		err = Failed(errors.New("no API key on standard input"), "type it when asked, or pipe it in: pass show example | key2oauth key SLUG")
	}
	return key, err
}

// ReadSecret reads a secret from standard input: on a terminal one line, which
// is not shown, else everything. It may be empty.
func (p *Program) ReadSecret(ctx context.Context, what string) (string, error) {
	var b []byte
	var err error
	if f, ok := p.Terminal(); ok {
		fmt.Fprint(p.Stderr, what+" (not shown): ")
		b, err = readHidden(ctx, int(f.Fd()))
		fmt.Fprintln(p.Stderr)
	} else {
		b, err = io.ReadAll(io.LimitReader(p.Stdin, maxKey))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimSpace(string(b)), nil
}

// Terminal returns standard input if a person types there.
func (p *Program) Terminal() (*os.File, bool) {
	f, ok := p.Stdin.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// IsTerminal reports whether what is written to w is seen by a person.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// readHidden reads a line without echo, and turns echo on again if ctx ends
// first.
func readHidden(ctx context.Context, fd int) ([]byte, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	return await(ctx, func() ([]byte, error) { return term.ReadPassword(fd) }, func() { term.Restore(fd, before) })
}

// Confirm asks a yes-or-no question. Without a terminal the answer is yes, since
// a script that says remove means it.
func (p *Program) Confirm(ctx context.Context, question string) (bool, error) {
	if _, ok := p.Terminal(); !ok {
		return true, nil
	}
	yes, err := p.ask(ctx, question)
	if err == nil && !yes {
		p.Remark("nothing was removed")
	}
	return yes, err
}

// ask asks a yes-or-no question on the terminal that standard input is.
func (p *Program) ask(ctx context.Context, question string) (bool, error) {
	f, ok := p.Terminal()
	if !ok {
		return false, nil
	}
	fmt.Fprint(p.Stderr, question+" [y/N] ")
	line, err := await(ctx, func() (string, error) { return bufio.NewReader(f).ReadString('\n') }, func() { fmt.Fprintln(p.Stderr) })
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}

// await returns what read returns, or gives up when ctx ends. A read from a
// terminal cannot be interrupted, so it is left behind when the program ends.
func await[T any](ctx context.Context, read func() (T, error), giveUp func()) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := read()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		giveUp()
		var zero T
		return zero, ctx.Err()
	}
}

// Printable drops from s what a terminal would act on.
func Printable(s string) string { return display.Text(s, display.NoLimit) }

// printTable prints rows in columns; an empty cell shows as "-".
func printTable(w io.Writer, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if cell = Printable(cell); cell == "" {
				cell = "-"
			}
			if i > 0 {
				fmt.Fprint(tw, "\t")
			}
			fmt.Fprint(tw, cell)
		}
		fmt.Fprintln(tw)
	}
	return tw.Flush()
}

// PrintJSON prints an answer of the admin API, with line breaks.
func (p *Program) PrintJSON(raw []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(raw), "", "  "); err != nil {
		return fmt.Errorf("reading the answer of Key2OAuth: %w", err)
	}
	b.WriteByte('\n')
	_, err := b.WriteTo(p.Stdout)
	return err
}
