package order

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestOrder: the newest few are the end of the whole list, whatever order the ids
// come in, and those of one time are told apart by their ids.
func TestOrder(t *testing.T) {
	for _, n := range []int{0, 1, Most, Most + 1, 500} {
		at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
		var all []Entry
		for i := range n {
			all = append(all, Entry{at.Add(time.Duration(i/3) * time.Second), fmt.Sprintf("g%04d", i)})
		}
		rand.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
		var newest Newest
		var list List
		list.Grow(n)
		for _, e := range all {
			newest.Add(e.At, []byte(e.ID))
			list.Add(e.At, []byte(e.ID))
		}
		list.Sort()
		if list.Len() != n || len(newest) != min(n, Most) {
			t.Fatalf("of %d ids there are %d, and %d newest", n, list.Len(), len(newest))
		}
		var want []string
		for i := list.Len() - 1; i >= max(0, n-Most); i-- {
			want = append(want, list.ID(i))
		}
		var got []string
		for _, e := range newest {
			got = append(got, e.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("the newest of %d are %q, want %q", n, got, want)
		}
		slices.SortFunc(all, Entry.newer)
		if n > 0 && list.ID(n-1) != all[0].ID {
			t.Errorf("the last of %d is %q, want %q", n, list.ID(n-1), all[0].ID)
		}
	}
}
