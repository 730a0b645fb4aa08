package tray

import "strings"

// How long the texts of a [State] and of a [Notice] are at most, in characters
// as a person counts them. Whoever fills them in cuts them.
const (
	MaxName   = 40
	MaxWords  = 70
	MaxReason = 300 // in a notification, which breaks lines
)

// name is how the menu calls a thing. Some apps give themselves no name that
// can be shown.
func name(s string) string {
	if s == "" {
		return t("unnamed")
	}
	return s
}

// sentence is words without the full stop, to go on with a dash.
func sentence(words string) string { return strings.TrimSuffix(words, ".") }
