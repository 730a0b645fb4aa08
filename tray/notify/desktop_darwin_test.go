package notify

import "testing"

// TestArgumentsAreNoScript: AppleScript receives the texts of a notification
// unchanged, even if they look like code.
func TestArgumentsAreNoScript(t *testing.T) {
	for _, text := range []string{
		"Linear", "", "-e", "--help", `" & (do shell script "id") & "`, `\" \\ \u2019`, "$(id) `id` ]]>", "Zo\u00eb \u2019\U0001f511", "two\nlines",
	} {
		got, err := runScript("on run argv\nreturn (item 1 of argv)\nend run", text, "second")
		if err != nil || got != text {
			t.Errorf("AppleScript got %q, %v, want %q", got, err, text)
		}
	}
}
