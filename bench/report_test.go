package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestReport: ratios are taken within one repetition, so that a busy moment
// hits both sides; and the floor is one for each number of connections.
func TestReport(t *testing.T) {
	r := newReport()
	samples := map[callKey][]sample{
		{"bare", smallSize, 1}:       {{PerSecond: 1000, CPU: 50}, {PerSecond: 100, CPU: 60}, {PerSecond: 500, CPU: 40}},
		{"key2oauth", smallSize, 1}:  {{PerSecond: 1100, CPU: 40}, {PerSecond: 90, CPU: 60}, {PerSecond: 600, CPU: 44}},
		{"bare", smallSize, 16}:      {{PerSecond: 1000, CPU: 50}},
		{"key2oauth", smallSize, 16}: {{PerSecond: 590, CPU: 50}},
	}
	for k := range samples {
		r.addCalls(k, samples)
	}
	rows := make(map[int]callRow)
	for _, c := range r.Calls {
		if c.Subject == "key2oauth" {
			rows[c.Conns] = c
		}
	}
	if got := rows[1]; got.Throughput != 1.1 || got.CPURatio != 1 || got.PerSecond != 600 || got.Runs != 3 {
		t.Errorf("got %+v, want the medians 1.1, 1, 600 of 3 runs", got)
	}
	for _, tt := range []struct {
		floor float64
		words string // "" if it passes
	}{{0, ""}, {0.59, ""}, {0.6, "0.59 of the bare proxy's throughput with 300 B at 16 connections, want 0.60"}} {
		err := r.check(tt.floor)
		if tt.words == "" && err != nil || tt.words != "" && (err == nil || !strings.Contains(err.Error(), tt.words)) {
			t.Errorf("check(%v) = %v, want %q", tt.floor, err, tt.words)
		}
	}
	if table := r.table(); strings.Count(table, "| 300 B |") != 4 {
		t.Errorf("the table has not a line for each cell:\n%s", table)
	}
	// A later run of a part takes the rest from an earlier one.
	dir := t.TempDir()
	r.LoginMS = 7
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	later := newReport()
	later.addCalls(callKey{"bare", smallSize, 1}, map[callKey][]sample{{"bare", smallSize, 1}: {{PerSecond: 7, CPU: 7}}})
	if err := later.keep([]string{filepath.Join(dir, "results.json")}); err != nil {
		t.Fatal(err)
	}
	if got := later.sortedCalls(); len(got) != 4 || got[0].PerSecond != 7 || later.LoginMS != 7 {
		t.Errorf("got %+v, login %v, want the earlier run's but for one row", got, later.LoginMS)
	}
	chart := r.chart()
	if strings.Count(chart, "<rect") != 1+2*4 { // the ground, and two groups of bars
		t.Errorf("the chart has not a bar for each cell:\n%s", chart)
	}
}

// TestGuardCost: the guard's cost is the median of the ratios within one run.
func TestGuardCost(t *testing.T) {
	r := newReport()
	r.addGuard(map[callKey][]sample{
		{"key2oauth", smallSize, 1}: {{PerSecond: 98, CPU: 51}, {PerSecond: 500, CPU: 20}, {PerSecond: 303, CPU: 30}},
		{unguarded, smallSize, 1}:   {{PerSecond: 100, CPU: 50}, {PerSecond: 1000, CPU: 10}, {PerSecond: 300, CPU: 30}},
		{"key2oauth", smallSize, 9}: {{PerSecond: 98, CPU: 51}}, // nothing to compare with
	})
	want := guardRow{smallSize, 1, 3, [3]float64{0.5, 0.98, 1.01}, [3]float64{1, 1.02, 2}}
	if len(r.Guard) != 1 || r.Guard[0] != want {
		t.Errorf("got %+v, want %+v", r.Guard, want)
	}
	if table := r.table(); !strings.Contains(table, "| 300 B | 1 | 3 | 0.980 | 0.500 to 1.010 | 1.020 | 1.000 to 2.000 |") {
		t.Errorf("got the table\n%s", table)
	}
}
