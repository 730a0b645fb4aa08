package notify

import (
	"errors"
	"os"
	"time"

	"git.sr.ht/~jackmordaunt/go-toast"
	"golang.org/x/sys/windows/registry"

	"github.com/key2oauth/key2oauth/icons"
)

// loadIcon is how long Windows may take to read a toast's icon. Nothing
// reports when it has.
const loadIcon = 100 * time.Millisecond

var errNoToasts = errors.New("toasts need Windows 10")

// hasToasts reports whether this is Windows 10 or later. Where it is not, as in
// Wine, asking for a toast leaves a COM object of ours behind, and the program
// crashes when it ends.
func hasToasts() bool {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Microsoft\Windows NT\CurrentVersion`, registry.QUERY_VALUE)
	if err != nil {
		return false
	}
	defer k.Close()
	major, _, err := k.GetIntegerValue("CurrentMajorVersionNumber")
	return err == nil && major >= 10
}

// post shows a toast.
func post(title, body string) error {
	if !hasToasts() {
		return errNoToasts
	}
	icon, err := writeIcon()
	if err != nil {
		return err
	}
	defer os.Remove(icon)
	note := toast.Notification{AppID: "Key2OAuth", Title: inert(title), Body: inert(body), Icon: icon, Audio: toast.Silent}
	if err := note.Push(); err != nil {
		return err
	}
	time.Sleep(loadIcon)
	return nil
}

// writeIcon writes the program's icon to a file, since a toast names a file.
func writeIcon() (name string, err error) {
	f, err := os.CreateTemp("", "key2oauth-*.png")
	if err != nil {
		return "", err
	}
	_, err = f.Write(icons.App(64))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}
