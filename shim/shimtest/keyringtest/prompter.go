//go:build linux

package keyringtest

import (
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// A Prompter stands in for the desktop's password window. It shows nothing and
// answers nothing until Dismiss is called, like a window that no one looks at.
type Prompter struct {
	conn *dbus.Conn

	mu    sync.Mutex
	begun map[dbus.ObjectPath]string // like open, before it is shown
	shown int
	open  map[dbus.ObjectPath]string // prompt -> bus name of the keychain
}

const (
	prompterName     = "org.gnome.keyring.SystemPrompter"
	prompterPath     = "/org/gnome/keyring/Prompter"
	prompterIface    = "org.gnome.keyring.internal.Prompter"
	prompterCallback = prompterIface + ".Callback.PromptReady"
)

// Prompter adds a prompter to the session's bus. Without one, a prompt fails
// immediately, as it does without a display.
func (s *Session) Prompter(t testing.TB) *Prompter {
	t.Helper()
	p := &Prompter{conn: s.connect(t), begun: make(map[dbus.ObjectPath]string), open: make(map[dbus.ObjectPath]string)}
	t.Cleanup(func() { p.conn.Close() })
	if err := p.conn.Export(calls{p}, prompterPath, prompterIface); err != nil {
		t.Fatal(err)
	}
	reply, err := p.conn.RequestName(prompterName, dbus.NameFlagDoNotQueue)
	if err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("the prompter's name: %v, %v", reply, err)
	}
	return p
}

// Shown counts the prompts so far.
func (p *Prompter) Shown() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown
}

// Dismiss closes the open windows, like a click on Cancel. It waits for one.
func (p *Prompter) Dismiss(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		open := p.open
		p.open = make(map[dbus.ObjectPath]string)
		p.mu.Unlock()
		for prompt, sender := range open {
			p.ready(sender, prompt, "no")
		}
		if len(open) > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("there is no prompt to dismiss")
		}
	}
}

func (p *Prompter) ready(sender string, prompt dbus.ObjectPath, reply string) {
	p.conn.Object(sender, prompt).Call(prompterCallback, 0, reply, map[string]dbus.Variant{}, "")
}

// calls are the methods that the keychain calls.
type calls struct{ p *Prompter }

// BeginPrompting asks for the window.
func (c calls) BeginPrompting(sender dbus.Sender, prompt dbus.ObjectPath) *dbus.Error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.p.begun[prompt] = string(sender)
	go c.p.begin(prompt)
	return nil
}

// again is how long the keychain has to ask for the window's contents.
const again = 3 * time.Second

// begin reports that the window is there. The keychain silently drops a report
// that comes before the answer to BeginPrompting, as it may on a busy machine,
// so the report is repeated until it is heard.
func (p *Prompter) begin(prompt dbus.ObjectPath) {
	for {
		p.mu.Lock()
		sender, waits := p.begun[prompt]
		p.mu.Unlock()
		if !waits {
			return
		}
		go p.ready(sender, prompt, "")
		select {
		case <-time.After(again):
		case <-p.conn.Context().Done():
			return
		}
	}
}

// PerformPrompt sets what the window shows.
func (c calls) PerformPrompt(sender dbus.Sender, prompt dbus.ObjectPath, kind string, properties map[string]dbus.Variant, exchange string) *dbus.Error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.p.shown++
	delete(c.p.begun, prompt)
	c.p.open[prompt] = string(sender)
	return nil
}

// StopPrompting closes the window.
func (c calls) StopPrompting(prompt dbus.ObjectPath) *dbus.Error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	delete(c.p.begun, prompt)
	delete(c.p.open, prompt)
	return nil
}
