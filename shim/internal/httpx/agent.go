package httpx

import "strings"

// IsDesktop guesses by its User-Agent whether a browser runs on a desktop
// computer. It is a guess for choosing what to show first, and proves nothing.
func IsDesktop(userAgent string) bool {
	if !strings.HasPrefix(userAgent, "Mozilla/") {
		return false
	}
	for _, s := range []string{"Mobile", "Android", "iPhone", "iPad", "Tablet"} {
		if strings.Contains(userAgent, s) {
			return false
		}
	}
	return true
}
