// Command bench measures what the shim costs, against a bare
// httputil.ReverseProxy, nginx, and the upstream without anything in front of
// it. See README.md.
//
//	go run ./bench            everything, about half an hour; writes bench/results.*
//	go run ./bench -short     the short form that CI runs
//	go run ./bench -only calls,streams -reps 3
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are the command-line flags.
type options struct {
	short bool
	only  string
	reps  int
	time  time.Duration
	out   string
	from  string
	exe   string
	floor float64

	subjects string // measures only these
	conns    []int
	sizes    []int
}

func main() {
	// The reference programs and the upstream are this program under another
	// name, so each is its own process.
	if role, ok := roles[os.Getenv(roleVariable)]; ok {
		if err := role(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.BoolVar(&o.short, "short", false, "calls of 300 bytes alone, in less than a minute; write no files")
	fs.StringVar(&o.only, "only", "calls,streams,size,grants,endpoints,login,idle", "the `parts` to measure")
	fs.IntVar(&o.reps, "reps", 10, "interleaved `runs`, of which medians are taken")
	fs.DurationVar(&o.time, "time", time.Second, "the `length` of one measurement")
	fs.StringVar(&o.out, "out", "", "`folder` for results.json, results.md and chart.svg (default the one of this program)")
	fs.StringVar(&o.from, "from", "", "earlier results.json `files`, whose parts are kept where this run has none")
	fs.StringVar(&o.exe, "exe", "", "measure this `program` instead of building it")
	fs.Float64Var(&o.floor, "floor", 0, "fail if the throughput is below this `share` of the bare ReverseProxy's (with -short: 0.6)")
	fs.StringVar(&o.subjects, "subjects", "direct,bare,nginx,key2oauth", "the `names` of what is measured; bare is measured in any case, and unguarded, the program without its answer guard, if it is named")
	o.conns, o.sizes = concurrencies, bodySizes
	fs.Func("conns", "the `numbers` of connections (default 1,16,64)", numbers(&o.conns))
	fs.Func("sizes", "the `bytes` in the body of a call (default 300,65536,4194304)", numbers(&o.sizes))
	if err := fs.Parse(args); err != nil {
		return err
	}
	if o.short {
		o.only, o.reps, o.time, o.floor = "calls", 5, 600*time.Millisecond, max(o.floor, 0.6)
		o.subjects = "bare,key2oauth"
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "k2o-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{ctx: ctx, o: o, dir: dir, root: root, r: newReport()}
	defer b.stopAll()
	if err := b.measure(); err != nil {
		return err
	}
	if o.from != "" {
		if err := b.r.keep(strings.Split(o.from, ",")); err != nil {
			return err
		}
	}
	fmt.Print(b.r.table())
	if err := b.r.check(o.floor); err != nil && o.short {
		fmt.Printf("\n%v: once more, in case the machine was busy with something else\n\n", err)
		b.r.Calls = nil
		if err := b.calls(); err != nil {
			return err
		}
		fmt.Print(b.r.table())
	}
	if !o.short {
		if o.out == "" {
			o.out = filepath.Join(root, "bench")
		}
		if err := b.r.write(o.out); err != nil {
			return err
		}
	}
	return b.r.check(o.floor)
}

// numbers parses a list of numbers into to.
func numbers(to *[]int) func(string) error {
	return func(list string) error {
		*to = nil
		for word := range strings.SplitSeq(list, ",") {
			n, err := strconv.Atoi(word)
			if err != nil || n < 1 {
				return fmt.Errorf("%q is no number", word)
			}
			*to = append(*to, n)
		}
		return nil
	}
}

// A bench is one run of the program.
type bench struct {
	ctx  context.Context
	o    options
	dir  string // for temporary files
	root string
	r    *report

	upstream *process
	procs    []*process
	built    string // our program
}

func (b *bench) wants(part string) bool {
	return slices.Contains(strings.Split(b.o.only, ","), part)
}

func (b *bench) measure() error {
	if err := b.build(); err != nil {
		return err
	}
	if err := b.startUpstream(); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		f    func() error
	}{
		{"size", b.size}, {"login", b.login}, {"calls", b.calls}, {"streams", b.streams},
		{"grants", b.grants}, {"endpoints", b.endpoints}, {"idle", b.idle},
	} {
		if !b.wants(part.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s\n", part.name)
		load := loadAverage()
		if err := part.f(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		b.r.Load[part.name] = load + " to " + loadAverage()
		if err := b.ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// build builds the program as it is shipped.
func (b *bench) build() error {
	if b.built = b.o.exe; b.built == "" {
		b.built = filepath.Join(b.dir, "key2oauth")
		if err := b.goBuild(b.built); err != nil {
			return err
		}
	}
	info, err := os.Stat(b.built)
	if err != nil {
		return err
	}
	b.r.Size.BinaryMB = float64(info.Size()) / 1e6
	return nil
}

func (b *bench) goBuild(exe string, flags ...string) error {
	args := append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", exe}, flags...)
	cmd := exec.CommandContext(b.ctx, "go", append(args, "./cmd/key2oauth")...)
	cmd.Dir, cmd.Stderr = b.root, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building the program: %w", err)
	}
	return nil
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-json", "github.com/key2oauth/key2oauth").Output()
	if err != nil {
		return "", errors.New("go list finds no module: run this inside the repository, as go run ./bench")
	}
	var m struct{ Dir string }
	err = json.Unmarshal(out, &m)
	return m.Dir, err
}
