// Package clipboard puts an address on the clipboard.
package clipboard

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/atotto/clipboard"
)

// ErrUnavailable means that there is no clipboard, or no program to write to it.
// Callers should show the address on a page with a Copy button, since a browser
// always has a clipboard.
var ErrUnavailable = errors.New("there is no clipboard")

// timeout bounds the clipboard. On Linux it is another program, which would wait
// forever for a display that does not answer.
const timeout = 3 * time.Second

// CopyURL puts an address on the clipboard. It refuses an address with a query, a
// fragment or a user, which may hold a secret: every program can read the
// clipboard, and some keep a history of it.
func CopyURL(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return errors.New("only an address can be copied") // err has it in it
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return errors.New("only a web address can be copied")
	case u.RawQuery != "", u.ForceQuery, u.Fragment != "", u.User != nil:
		return errors.New("the address may hold a secret, and is not copied")
	}
	done := make(chan error, 1)
	go func() { done <- clipboard.WriteAll(address) }()
	late := time.NewTimer(timeout)
	defer late.Stop()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return nil
	case <-late.C:
		return fmt.Errorf("%w: it does not answer", ErrUnavailable)
	case <-ctx.Done():
		return ctx.Err()
	}
}
