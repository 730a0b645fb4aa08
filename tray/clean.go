package tray

import "strings"

// The longest texts of a [State] and of a [Notice], in characters as a person
// counts them. The caller cuts them.
const (
	MaxName   = 40
	MaxWords  = 70
	MaxReason = 300 // in a notification, which breaks lines
)

// name returns a name for the menu. Some apps give no name that can be shown.
func name(s string) string {
	if s == "" {
		return t("unnamed")
	}
	return s
}

// sentence returns words without the period, to continue with a dash.
func sentence(words string) string { return strings.TrimSuffix(words, ".") }
