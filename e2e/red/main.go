// Red shows that tests can fail. Each package keeps a table of mutations in
// testdata/red.txt; this program applies them one at a time to a copy of the
// source, by means of go's -overlay, and expects the named test to fail. Run it
// from the root of the repository:
//
//	go run ./e2e/red [-run ROW] [-p 2]
//
// A line of the table holds, separated by tabs: the ids of the rows, the
// package's folder, the pattern of the test, the file to break, the text to
// replace and the new text. The file is named from the root or from the
// package. In the last two \n stands for a line break and \t for a tab, and
// the old text must occur exactly once.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/key2oauth/key2oauth/e2e/checklist/rows"
)

func main() {
	only := flag.String("run", "", "only lines whose row matches this `pattern`")
	workers := flag.Int("p", 2, "how many at a time")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "red:", err)
		os.Exit(2)
	}
	ok, err := run(".", pattern, *workers, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "red:", err)
		os.Exit(1)
	}
	if !ok {
		os.Exit(1)
	}
}

// run replays the mutations whose rows match only, prints a table, and reports
// whether the tests noticed all of them.
func run(root string, only *regexp.Regexp, workers int, out io.Writer) (bool, error) {
	all, err := load(root)
	if err != nil {
		return false, err
	}
	ms := slices.DeleteFunc(slices.Clone(all), func(m mutation) bool { return !only.MatchString(m.rows) })
	results := make([]result, len(ms))
	var wg sync.WaitGroup
	slots := make(chan struct{}, max(workers, 1))
	for i := range ms {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results[i] = ms[i].replay(root)
		})
	}
	wg.Wait()

	ok := true
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ROW\tRESULT\tTEST\tBROKEN LINE\tTIME")
	for i, m := range ms {
		r := results[i]
		if r.verdict != red {
			ok = false
		}
		fmt.Fprintf(w, "%s\t%s\t%s %s\t%s\t%v\n", m.rows, r.verdict, m.pkg, m.test, m.where(root), r.took.Round(time.Second/10))
	}
	if err := w.Flush(); err != nil {
		return false, err
	}
	for i, m := range ms {
		if r := results[i]; r.verdict != red {
			fmt.Fprintf(out, "\n%s, %s\n\t-%s\n\t+%s\n%s\n", m.rows, m.source, m.old, m.new, r.words)
		}
	}
	if only.String() == "" {
		missing, err := uncovered(all)
		if err != nil {
			return false, err
		}
		if len(missing) > 0 {
			fmt.Fprintf(out, "\nstarred rows without a mutation: %s\n", strings.Join(missing, " "))
			ok = false
		}
	}
	return ok, nil
}

// uncovered lists the starred rows that need a test and have no mutation.
func uncovered(ms []mutation) ([]string, error) {
	all, err := rows.All()
	if err != nil {
		return nil, err
	}
	have := make(map[string]bool)
	for _, m := range ms {
		for _, id := range strings.Fields(m.rows) {
			have[id] = true
		}
	}
	var missing []string
	for _, r := range all {
		if r.Grade == rows.Star && r.Later == "" && !have[r.ID] {
			missing = append(missing, r.ID)
		}
	}
	return missing, nil
}
