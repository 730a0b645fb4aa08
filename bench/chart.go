package main

import (
	"fmt"
	"strings"
)

// restOfTable adds everything except calls.
func (r *report) restOfTable(b *strings.Builder) {
	if len(r.Streams) > 0 {
		most := mostStreams()
		fmt.Fprintf(b, "\n| streams | delay p50 µs at 1, 16, 64 | delay p99 µs | kB per idle stream at 1,000 | at %d | events/s of 20,000 on 1,000 | CPU µs/event |\n|---|--:|--:|--:|--:|--:|--:|\n", most)
		for _, s := range r.Streams {
			fmt.Fprintf(b, "| %s | %.0f, %.0f, %.0f | %.0f, %.0f, %.0f | %.1f | %.1f | %.0f | %.1f |\n", s.Subject,
				s.Delays[1], s.Delays[16], s.Delays[64], s.Delays99[1], s.Delays99[16], s.Delays99[64],
				s.IdleKB[1000], s.IdleKB[most], s.Busy, s.BusyCPU)
		}
	}
	if len(r.Scale) > 0 {
		fmt.Fprintf(b, "\n| state | n | ready ms | memory MB | call p50 µs | CPU µs/call | refresh ms | its two synced writes ms | file MB |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
		for _, s := range r.Scale {
			fmt.Fprintf(b, "| %s | %d | %.0f | %.1f | %.0f | %.1f | %.2f | %.2f | %.1f |\n",
				s.Of, s.N, s.ReadyMS, s.MemoryMB, s.CallUS, s.CallCPU, s.RefreshMS, s.SyncMS, s.FileMB)
		}
	}
	fmt.Fprintf(b, "\n| the program | |\n|---|--:|\n| binary, stripped | %.1f MB |\n", r.Size.BinaryMB)
	if r.Size.ReadyMS > 0 {
		fmt.Fprintf(b, "| start to ready | %.0f ms |\n", r.Size.ReadyMS)
	}
	for _, row := range r.Size.Resident {
		fmt.Fprintf(b, "| resident, idle, %s | %.1f MB, of that %.1f not of files |\n", row.With, row.MB, row.AnonMB)
	}
	if r.LoginMS > 0 {
		fmt.Fprintf(b, "| login, authorize to first token | %.1f ms |\n", r.LoginMS)
	}
	if r.Idle != nil {
		fmt.Fprintf(b, "| CPU over an idle minute, %s | %.2f %% |\n", r.Idle.With, r.Idle.CPU)
	}
}

// The chart's measurements, in its own units.
const (
	chartWidth = 760
	groupLeft  = 150
	barHeight  = 15
	barGap     = 3
	groupGap   = 14
)

var chartColors = map[string]string{"direct": "#9aa5b1", "nginx": "#5b8c5a", "bare": "#c98a3b", "key2oauth": "#3b6fc9"}

// chart draws the calls of 300 bytes: calls per second, and CPU per call.
func (r *report) chart() string {
	var b strings.Builder
	y := 0
	body := new(strings.Builder)
	y = r.bars(body, y, "calls per second, 300 bytes (more is better)", "%.0f", func(c callRow) float64 { return c.PerSecond })
	y = r.bars(body, y+10, "CPU per call in µs, 300 bytes (less is better)", "%.1f", func(c callRow) float64 {
		if c.Subject == "direct" {
			return 0
		}
		return c.CPU
	})
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img">
<title>Calls per second and CPU per call of Key2OAuth, a bare ReverseProxy and nginx</title>
<rect width="100%%" height="100%%" fill="#ffffff"/>
%s</svg>
`, chartWidth, y+10, body)
	return b.String()
}

// bars draws one group of bars for each number of connections, from y down,
// and returns where it ended.
func (r *report) bars(b *strings.Builder, y int, title, format string, value func(callRow) float64) int {
	most := 0.0
	var rows []callRow
	for _, c := range r.sortedCalls() {
		if c.Size == smallSize && c.Subject != unguarded && value(c) > 0 {
			rows = append(rows, c)
			most = max(most, value(c))
		}
	}
	if most == 0 {
		return y
	}
	y += 24
	fmt.Fprintf(b, "<text x=\"10\" y=\"%d\" font-size=\"14\" fill=\"#222\">%s</text>\n", y, title)
	y += 12
	conns := 0
	for _, c := range rows {
		if c.Conns != conns {
			if conns > 0 {
				y += groupGap
			}
			conns = c.Conns
			word := "connections"
			if conns == 1 {
				word = "connection"
			}
			fmt.Fprintf(b, "<text x=\"10\" y=\"%d\" fill=\"#444\">%d %s</text>\n", y+12, conns, word)
		}
		w := value(c) / most * (chartWidth - groupLeft - 170)
		fmt.Fprintf(b, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>", groupLeft, y, w, barHeight, chartColors[c.Subject])
		fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\" fill=\"#222\">%s "+format+"</text>\n", float64(groupLeft)+w+6, y+12, c.Subject, value(c))
		y += barHeight + barGap
	}
	return y
}
