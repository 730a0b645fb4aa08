package tray

import (
	"strings"

	"github.com/key2oauth/key2oauth/tray/internal/words"
)

// The longest texts of a [State] and of a [Notice], in characters as a person
// counts them. The caller cuts them.
const (
	MaxName   = 40
	MaxWords  = 90
	MaxReason = 300 // in a notification, which breaks lines
)

// name returns a name for the menu. Some apps give no name that can be shown.
func name(s string) string {
	if s == "" {
		return t("unnamed")
	}
	return s
}

// sentence returns s without the period, to continue with a dash.
func sentence(s string) string { return strings.TrimSuffix(s, ".") }

// Text returns a text of the menu or of a notification. Tests compare with it,
// and other packages use it to refer to the menu.
func Text(key string, args ...any) string { return words.Text(key, args...) }

func t(key string, args ...any) string { return words.Text(key, args...) }
