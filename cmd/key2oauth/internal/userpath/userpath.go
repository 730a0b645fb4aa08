// Package userpath puts a folder on the user's PATH on Windows, and takes it
// off again. The installer has the program do it: the language of installers
// cuts long values, and a PATH that was cut is a broken computer.
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

// without returns path without dir. All else stays as it is, byte for byte.
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
