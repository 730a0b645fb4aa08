package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A report has all measurements.
type report struct {
	Go     string `json:"go"`
	System string `json:"system"`
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	// Load is the one-minute load average, at the beginning and the end of
	// each part.
	Load    map[string]string `json:"load_average"`
	Calls   []callRow         `json:"calls,omitempty"`
	Guard   []guardRow        `json:"guard,omitempty"`
	Streams []streamRow       `json:"streams,omitempty"`
	Size    sizeRow           `json:"size"`
	Scale   []scaleRow        `json:"scale,omitempty"`
	LoginMS float64           `json:"login_ms,omitempty"` // authorize to first token
	Idle    *idleRow          `json:"idle,omitempty"`
}

// A callRow is one row of the table of calls: medians over all runs.
type callRow struct {
	Subject string `json:"subject"`
	Size    int    `json:"size"`
	Conns   int    `json:"connections"`
	Runs    int    `json:"runs"`
	sample
	// Relative to the bare ReverseProxy: medians of the ratios within one run.
	Throughput float64 `json:"throughput_to_bare,omitempty"`
	CPURatio   float64 `json:"cpu_to_bare,omitempty"`
}

func newReport() *report {
	return &report{
		Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), CPU: cpuModel(), Load: make(map[string]string),
	}
}

func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func loadAverage() string {
	b, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(b), " ")
	return one
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// each applies f to the samples and returns the median.
func each(samples []sample, f func(i int, s sample) float64) float64 {
	var values []float64
	for i, s := range samples {
		values = append(values, f(i, s))
	}
	return median(values)
}

func sum(samples []sample) (broken float64) {
	for _, s := range samples {
		broken += s.Broken
	}
	return broken
}

func (r *report) addCalls(k callKey, samples map[callKey][]sample) {
	own, bare := samples[k], samples[callKey{"bare", k.size, k.conns}]
	r.Calls = append(r.Calls, callRow{
		Subject: k.subject, Size: k.size, Conns: k.conns, Runs: len(own),
		sample: sample{
			PerSecond: each(own, func(_ int, s sample) float64 { return s.PerSecond }),
			P50:       each(own, func(_ int, s sample) float64 { return s.P50 }),
			P99:       each(own, func(_ int, s sample) float64 { return s.P99 }),
			CPU:       each(own, func(_ int, s sample) float64 { return s.CPU }),
			Broken:    sum(own),
		},
		Throughput: each(own, func(i int, s sample) float64 { return s.PerSecond / bare[i].PerSecond }),
		CPURatio:   each(own, func(i int, s sample) float64 { return s.CPU / bare[i].CPU }),
	})
}

// bytesOf formats a size as people write it.
func bytesOf(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%d MB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d kB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// table returns the report for people, in Markdown.
func (r *report) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, %d cores (%s)\n\nLoad average of the machine:", r.Go, r.System, r.Cores, r.CPU)
	for i, part := range slices.Sorted(maps.Keys(r.Load)) {
		if i > 0 {
			b.WriteByte(';')
		}
		fmt.Fprintf(&b, " %s from %s", part, r.Load[part])
	}
	b.WriteByte('\n')
	if len(r.Calls) > 0 {
		fmt.Fprintf(&b, "\n| calls | connections | subject | calls/s | p50 µs | p99 µs | CPU µs/call | throughput to bare | CPU to bare | broken |\n|---|--:|---|--:|--:|--:|--:|--:|--:|--:|\n")
		for _, c := range r.sortedCalls() {
			cpu, ratio := fmt.Sprintf("%.1f", c.CPU), fmt.Sprintf("%.2f", c.CPURatio)
			if c.Subject == "direct" {
				ratio = "" // the upstream's own work, not a proxy's
			}
			fmt.Fprintf(&b, "| %s | %d | %s | %.0f | %.0f | %.0f | %s | %.2f | %s | %.0f |\n",
				bytesOf(c.Size), c.Conns, c.Subject, c.PerSecond, c.P50, c.P99, cpu, c.Throughput, ratio, c.Broken)
		}
	}
	r.guardTable(&b)
	r.restOfTable(&b)
	return b.String()
}

func (r *report) sortedCalls() []callRow {
	rows := slices.Clone(r.Calls)
	slices.SortStableFunc(rows, func(a, b callRow) int {
		if a.Size != b.Size {
			return a.Size - b.Size
		}
		return a.Conns - b.Conns
	})
	return rows
}

// keep copies what this run did not measure from earlier reports; the first
// that has it counts.
func (r *report) keep(names []string) error {
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		old := newReport()
		if err := json.Unmarshal(b, old); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, row := range old.Calls {
			if !slices.ContainsFunc(r.Calls, func(c callRow) bool {
				return c.Subject == row.Subject && c.Size == row.Size && c.Conns == row.Conns
			}) {
				r.Calls = append(r.Calls, row)
			}
		}
		if len(r.Guard) == 0 {
			r.Guard = old.Guard
		}
		if len(r.Streams) == 0 {
			r.Streams = old.Streams
		}
		for _, row := range old.Scale {
			if !slices.ContainsFunc(r.Scale, func(s scaleRow) bool { return s.Of == row.Of && s.N == row.N }) {
				r.Scale = append(r.Scale, row)
			}
		}
		if len(r.Size.Resident) == 0 {
			r.Size.Resident, r.Size.ReadyMS = old.Size.Resident, old.Size.ReadyMS
		}
		if r.LoginMS == 0 {
			r.LoginMS = old.LoginMS
		}
		if r.Idle == nil {
			r.Idle = old.Idle
		}
		for part, load := range old.Load {
			if _, ok := r.Load[part]; !ok {
				r.Load[part] = load
			}
		}
	}
	return nil
}

// write writes the report in all its forms.
func (r *report) write(dir string) error {
	object, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	files := map[string]string{
		"results.json": string(object) + "\n",
		"results.md":   r.table(),
	}
	if len(r.Calls) > 0 {
		files["chart.svg"] = r.chart()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// check fails if throughput is below a share of the bare proxy's.
func (r *report) check(floor float64) error {
	for _, c := range r.Calls {
		if c.Subject == "key2oauth" && c.Throughput < floor {
			return fmt.Errorf("%.2f of the bare proxy's throughput with %s at %d connections, want %.2f",
				c.Throughput, bytesOf(c.Size), c.Conns, floor)
		}
	}
	return nil
}
