package autostart

import (
	"encoding/xml"
	"strings"
)

// label names the launch agent, and its file.
const label = "com.github.key2oauth.key2oauth"

// programIn takes the program out of what launchAgent may have written.
func programIn(agent string) string {
	_, after, _ := strings.Cut(agent, "<array>")
	_, after, _ = strings.Cut(after, "<string>")
	text, _, _ := strings.Cut(after, "</string>")
	var program string
	if err := xml.Unmarshal([]byte("<string>"+text+"</string>"), &program); err != nil {
		return ""
	}
	return program
}

// launchAgent is the file that starts c on macOS.
func launchAgent(c Command) string {
	var words strings.Builder
	for _, w := range append([]string{c.Program}, c.Args...) {
		words.WriteString("\t\t<string>")
		xml.EscapeText(&words, []byte(w))
		words.WriteString("</string>\n")
	}
	return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>` + label + `</string>
	<key>ProgramArguments</key>
	<array>
` + words.String() + `	</array>
	<key>RunAtLoad</key>
	<true/>
	<key>ProcessType</key>
	<string>Interactive</string>
	<key>LimitLoadToSessionType</key>
	<string>Aqua</string>
</dict>
</plist>
`
}
