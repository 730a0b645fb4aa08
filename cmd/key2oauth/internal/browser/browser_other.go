//go:build !linux

package browser

import (
	"os"
	"sync"

	"github.com/pkg/browser"
)

// openURL opens link in the desktop's browser.
func openURL(link string) error {
	if err := silenceBrowsers(); err != nil {
		return err
	}
	return browser.OpenURL(link)
}

// silenceBrowsers keeps the output of browsers out of ours. A browser may outlive
// us, so it gets a file to write to, since our pipe would break.
var silenceBrowsers = sync.OnceValue(func() error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err == nil {
		browser.Stdout, browser.Stderr = null, null
	}
	return err
})
