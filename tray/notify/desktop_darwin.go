package notify

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// showScript shows a notification. The texts are arguments: they may contain a
// stranger's name, so they must never become part of a script.
const showScript = `on run argv
	display notification (item 2 of argv) with title (item 1 of argv)
end run`

// post shows a notification.
func post(title, body string) error {
	_, err := runScript(showScript, title, body)
	return err
}

// runScript runs an AppleScript and returns its output. osascript reads the
// script from standard input ("-"). After a file name it takes no more
// options, so an argument may begin with a dash.
func runScript(script string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/bin/osascript", append([]string{"-"}, args...)...)
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("osascript: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}
