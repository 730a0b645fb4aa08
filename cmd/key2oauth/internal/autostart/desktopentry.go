package autostart

import (
	"strings"
)

// desktopEntry is the file that starts c on Linux.
func desktopEntry(c Command) string {
	return `[Desktop Entry]
Type=Application
Name=Key2OAuth
Comment=Lets OAuth-only MCP clients use MCP servers that know only API keys
Exec=` + execLine(c) + `
Icon=key2oauth
Terminal=false
StartupNotify=false
X-GNOME-Autostart-enabled=true
`
}

// execLine quotes a command as the Desktop Entry Specification, Section "The
// Exec key", says: first for the command line, then as a value of the file.
func execLine(c Command) string {
	inQuotes := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`, `%`, `%%`)
	var words []string
	for _, w := range append([]string{c.Program}, c.Args...) {
		words = append(words, `"`+inQuotes.Replace(w)+`"`)
	}
	inValue := strings.NewReplacer(`\`, `\\`, "\t", `\t`)
	return inValue.Replace(strings.Join(words, " "))
}

// readDesktopEntry says what a file does that desktopEntry may have written,
// and that the desktop's settings or the user may have changed.
func readDesktopEntry(content string, c Command) State {
	values := make(map[string]string)
	inside := false
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			inside = line == "[Desktop Entry]"
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && inside {
			values[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	switch {
	case values["Hidden"] == "true", values["X-GNOME-Autostart-enabled"] == "false", values["Exec"] == "":
		return Off
	case values["Exec"] != execLine(c):
		return other(programOf(values["Exec"]))
	}
	return On
}

// programOf takes the program out of what execLine may have written.
func programOf(exec string) string {
	exec = strings.NewReplacer(`\\`, `\`, `\t`, "\t").Replace(exec)
	quoted, ok := strings.CutPrefix(exec, `"`)
	if !ok {
		first, _, _ := strings.Cut(exec, " ")
		return first
	}
	var program strings.Builder
	for i := 0; i < len(quoted) && quoted[i] != '"'; i++ {
		if quoted[i] == '\\' && i+1 < len(quoted) {
			i++
		}
		program.WriteByte(quoted[i])
	}
	return strings.ReplaceAll(program.String(), "%%", "%")
}
