package doctor

import (
	"fmt"
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// Text is a report for a letter or a bug report.
func Text(r api.Report) string {
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
	line := fmt.Sprintf("  %-6s  %s", web.ReportMarks[f.State], display.Text(f.What, display.NoLimit))
	if f.MS > 0 {
		line += fmt.Sprintf(" (%d ms)", f.MS)
	}
	if f.Whose != "" {
		line += ": " + web.ReportWhose[f.Whose]
	}
	lines := []string{line}
	more := func(label, s string) {
		if s = display.Text(s, display.NoLimit); s != "" {
			lines = append(lines, "          "+label+s)
		}
	}
	more("", f.Words)
	if f.State != api.FindingOK {
		more(web.ReportNext, f.Next)
		more("", f.Link)
	}
	return strings.Join(lines, "\n") + "\n"
}
