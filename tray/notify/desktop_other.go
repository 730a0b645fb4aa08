//go:build windows || darwin

package notify

import (
	"errors"
	"time"

	"github.com/key2oauth/key2oauth/tray"
)

// timeout is how long the system may take: it may run PowerShell.
const timeout = 20 * time.Second

// A system is Windows or macOS. Its notifications cannot be withdrawn, and
// disappear after a while.
type system struct{}

func newDesktop() desktop { return system{} }

func (system) show(n tray.Notice, _ uint32) (uint32, error) {
	done := make(chan error, 1)
	go func() { done <- post(n.Title, n.Body) }()
	select {
	case err := <-done:
		return 0, err
	case <-time.After(timeout):
		return 0, errors.New("the system does not answer")
	}
}

func (system) withdraw(uint32) {}

func (system) clicked() <-chan uint32 { return nil }

func (system) close() {}
