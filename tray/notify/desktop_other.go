//go:build windows || darwin

package notify

import (
	"errors"
	"time"

	"github.com/gen2brain/beeep"

	"github.com/key2oauth/key2oauth/icons"
	"github.com/key2oauth/key2oauth/tray"
)

// timeout is how long the system may take: it may run PowerShell.
const timeout = 20 * time.Second

// A system is Windows or macOS. What is shown cannot be taken back, and goes
// by itself.
type system struct{}

func newDesktop() desktop {
	beeep.AppName = "Key2OAuth"
	return system{}
}

func (system) show(n tray.Notice, _ uint32) (uint32, error) {
	done := make(chan error, 1)
	go func() { done <- beeep.Notify(inert(n.Title), inert(n.Body), icons.App(64)) }()
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
