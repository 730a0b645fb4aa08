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
		b.WriteString(FindingText(f, group))
		group = f.Group
	}
	return b.String()
}

// FindingText is a finding over some lines: what it is, who has to fix it, and
// what to do. The heading of its group comes first unless the finding before it,
// of the group after, has had it.
func FindingText(f api.Finding, after string) string {
	line := fmt.Sprintf("  %-6s  %s", web.ReportMarks[f.State], display.Text(f.What, display.NoLimit))
	if f.MS > 0 {
		line += fmt.Sprintf(" (%d ms)", f.MS)
	}
	if f.Whose != "" {
		line += ": " + web.ReportWhose[f.Whose]
	}
	var lines []string
	if f.Group != after {
		lines = append(lines, web.ReportGroups[f.Group])
	}
	lines = append(lines, line)
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
