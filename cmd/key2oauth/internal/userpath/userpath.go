// Package userpath adds a folder to the user's PATH on Windows, and removes it
// again. The program does it for the installer, whose language cuts long values:
// a PATH that was cut breaks other programs.
package userpath

import "strings"

// with returns path with dir at its end, unless it is there.
func with(path, dir string) string {
	if has(path, dir) {
		return path
	}
	if path = strings.TrimRight(path, ";"); path == "" {
		return dir
	}
	return path + ";" + dir
}

// without returns path without dir. The rest stays the same, byte for byte.
func without(path, dir string) string {
	if !has(path, dir) {
		return path
	}
	var rest []string
	for _, p := range strings.Split(path, ";") {
		if !same(p, dir) {
			rest = append(rest, p)
		}
	}
	return strings.Join(rest, ";")
}

func has(path, dir string) bool {
	for _, p := range strings.Split(path, ";") {
		if same(p, dir) {
			return true
		}
	}
	return false
}

// same compares names as Windows does.
func same(a, b string) bool {
	return strings.EqualFold(strings.TrimRight(a, `\`), strings.TrimRight(b, `\`))
}
