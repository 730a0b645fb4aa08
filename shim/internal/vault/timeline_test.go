package vault

import (
	"maps"
	"testing"
)

// TestTimelines: records are visible at once, on disk with the next write, and
// deleted with their grant. Finished ones are not among the open ones.
func TestTimelines(t *testing.T) {
	dir := t.TempDir()
	v := openFileMode(t, dir)
	addEndpoint(t, v, testSlug, "")
	key := saveKey(t, v, testSlug, "", "saved").ID
	for _, id := range []string{"open", "done", "both"} {
		addGrant(t, v, id, testSlug, key)
	}
	want := func(v *Vault, open, all map[string]string) {
		t.Helper()
		for _, tt := range []struct {
			name string
			list func() (map[string][]byte, error)
			want map[string]string
		}{{"OpenTimelines", v.OpenTimelines, open}, {"Timelines", v.Timelines, all}} {
			records, err := tt.list()
			got := make(map[string]string)
			for id, r := range records {
				got[id] = string(r)
			}
			if err != nil || !maps.Equal(got, tt.want) {
				t.Errorf("%s = %q, %v, want %q", tt.name, got, err, tt.want)
			}
		}
		for _, id := range []string{"open", "done", "both", "gone"} {
			if r, err := v.Timeline(id); err != nil || string(r) != all[id] {
				t.Errorf("Timeline(%s) = %q, %v, want %q", id, r, err, all[id])
			}
		}
	}
	want(v, nil, nil)
	v.SaveTimeline("open", []byte("one"), false)
	v.SaveTimeline("open", []byte("two"), false)
	v.SaveTimeline("done", []byte("three"), true)
	v.SaveTimeline("both", []byte("four"), false)
	v.SaveTimeline("gone", []byte("no grant"), false)
	open := map[string]string{"open": "two", "both": "four"}
	all := map[string]string{"open": "two", "both": "four", "done": "three"}
	want(v, open, all)
	closeVault(t, v)

	v = openFileMode(t, dir)
	want(v, open, all)
	v.SaveTimeline("both", []byte("five"), true)
	delete(open, "both")
	all["both"] = "five"
	want(v, open, all)
	v.Flush()
	want(v, open, all)
	for _, id := range []string{"open", "done"} {
		if err := v.DeleteGrant(id); err != nil {
			t.Fatal(err)
		}
		delete(open, id)
		delete(all, id)
	}
	want(v, open, all)
}
