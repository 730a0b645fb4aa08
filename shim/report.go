package shim

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// reportText is a report for a letter or a bug report.
func reportText(r api.Report) string {
	var b strings.Builder
	group := ""
	for _, f := range r.Findings {
		if f.State == api.FindingRunning {
			continue
		}
		if f.Group != group {
			group = f.Group
			b.WriteString(GroupTitle(group) + "\n")
		}
		b.WriteString(FindingText(f))
	}
	return b.String()
}

// GroupTitle is the heading of a group of findings.
func GroupTitle(group string) string { return web.ReportGroups[group] }

// FindingText is a finding over some lines: what it is, who has to fix it, and
// what to do.
func FindingText(f api.Finding) string {
	line := fmt.Sprintf("  %-6s  %s", web.ReportMarks[f.State], f.What)
	if f.MS > 0 {
		line += fmt.Sprintf(" (%d ms)", f.MS)
	}
	if f.Whose != "" {
		line += ": " + web.ReportWhose[f.Whose]
	}
	lines := []string{line}
	more := func(label, s string) {
		if s = strings.TrimSpace(s); s != "" {
			lines = append(lines, "          "+label+s)
		}
	}
	more("", f.Words)
	if f.State != api.FindingOK {
		more(web.ReportNext, f.Next)
		more("", f.Link)
	}
	for i := range lines {
		lines[i] = Printable(lines[i]) + "\n"
	}
	return strings.Join(lines, "")
}

// Printable makes one line of s that does nothing to a terminal. Names of
// clients and words of upstreams are written by strangers.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
}
