package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// unguarded is our program without its answer guard. Only a build of its own is
// without it.
const unguarded = "unguarded"

func (b *bench) startUnguarded() (*subject, error) {
	exe := filepath.Join(b.dir, unguarded)
	if err := b.goBuild(exe, "-tags", "k2onoguard"); err != nil {
		return nil, err
	}
	p, err := b.startBuilt(exe, filepath.Join(b.dir, unguarded+"-data"))
	if err != nil {
		return nil, err
	}
	s, err := b.signIn(p, "Bench")
	if err != nil {
		return nil, err
	}
	s.name = unguarded
	return s, nil
}

// A guardRow is what the answer guard costs: the program with it to the one
// without. Ratios are taken within one run; there are the lower quartile, the
// median and the upper quartile of them.
type guardRow struct {
	Size       int        `json:"size"`
	Conns      int        `json:"connections"`
	Runs       int        `json:"runs"`
	Throughput [3]float64 `json:"throughput"`
	CPU        [3]float64 `json:"cpu"`
}

func (r *report) addGuard(samples map[callKey][]sample) {
	for k, with := range samples {
		without := samples[callKey{unguarded, k.size, k.conns}]
		if k.subject != "key2oauth" || len(without) != len(with) {
			continue
		}
		var throughput, cpu []float64
		for i := range with {
			throughput = append(throughput, with[i].PerSecond/without[i].PerSecond)
			cpu = append(cpu, with[i].CPU/without[i].CPU)
		}
		r.Guard = append(r.Guard, guardRow{k.size, k.conns, len(with), quartiles(throughput), quartiles(cpu)})
	}
	slices.SortFunc(r.Guard, func(a, b guardRow) int { return cmp.Or(a.Size-b.Size, a.Conns-b.Conns) })
}

// quartiles returns the lower quartile, the median and the upper quartile.
func quartiles(values []float64) [3]float64 {
	slices.Sort(values)
	n := len(values)
	return [3]float64{values[n/4], median(values), values[(3*n-1)/4]}
}

// guardTable adds what the guard costs.
func (r *report) guardTable(b *strings.Builder) {
	if len(r.Guard) == 0 {
		return
	}
	b.WriteString("\n| the guard | connections | runs | throughput with it to without | quartiles | CPU | quartiles |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for _, g := range r.Guard {
		fmt.Fprintf(b, "| %s | %d | %d | %.3f | %.3f to %.3f | %.3f | %.3f to %.3f |\n", bytesOf(g.Size), g.Conns, g.Runs,
			g.Throughput[1], g.Throughput[0], g.Throughput[2], g.CPU[1], g.CPU[0], g.CPU[2])
	}
}
