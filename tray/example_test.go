package tray_test

import (
	"fmt"
	"time"

	"github.com/key2oauth/key2oauth/tray"
)

// One app uses the first server, and the other server rejects its key.
func sample() tray.State {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	return tray.State{
		Now:    now,
		Tunnel: tray.Tunnel{State: tray.TunnelConnected, Host: "calm-otter.ngrok-free.app"},
		Endpoints: []tray.Endpoint{
			{Slug: "aaaaaaaaaaaa", Name: "Linear", LastUsed: now.Add(-2 * time.Minute)},
			{Slug: "bbbbbbbbbbbb", Name: "Sentry", Key: tray.KeyRejected},
		},
		Clients: []tray.Client{{Grant: "g1", Name: "Claude", Endpoint: "Linear", LastUsed: now.Add(-2 * time.Minute)}},
	}
}

// The menu is a pure function of the state. A click is an Action, which the
// program carries out.
func ExampleMenu() {
	for _, item := range tray.Menu(sample()) {
		switch {
		case item.Separator:
			fmt.Println("---")
		case item.Action.Verb != "":
			fmt.Printf("%s [%s]\n", item.Text, item.Action.Verb)
		default: // a submenu, or a line that only shows text
			fmt.Println(item.Text)
		}
	}
	// Output:
	// Online – calm-otter.ngrok-free.app
	// Sentry – key rejected, click to fix [fix-key]
	// ---
	// Linear
	// Sentry
	// Add server… [add-endpoint]
	// ---
	// Recent apps
	// ---
	// Pause [pause]
	// Go offline [go-offline]
	// ---
	// Open Key2OAuth [open-dashboard]
	// Settings… [open-settings]
	// About Key2OAuth [open-about]
	// Quit Key2OAuth [quit]
}

// What the owner should learn without opening the menu.
func ExampleNotices() {
	for _, n := range tray.Notices(sample()) {
		if !n.Event {
			fmt.Printf("%s [%s %s]\n", n.Title, n.Action.Verb, n.Action.ID)
		}
	}
	// Output:
	// API key rejected [fix-key bbbbbbbbbbbb]
}

func ExampleTooltip() {
	s := sample()
	fmt.Println(tray.Tooltip(s))
	s.Paused = true
	fmt.Println(tray.Tooltip(s))
	// Output:
	// Key2OAuth – a key needs attention
	// Key2OAuth – paused
}
