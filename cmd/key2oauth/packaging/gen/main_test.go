package main

import (
	"testing"
	"time"
)

func TestNotes(t *testing.T) {
	const changelog = "# Changelog\n\n## 0.3.0 - unreleased\n\n- Three.\n\n## 0.2.0 - 2026-11-01\n\n- Two.\n- More.\n\n## 0.1.0 - 2026-10-01\n\n- One.\n"
	for _, tt := range []struct {
		r    release
		want string
	}{
		{release{version: "0.2.0"}, "- Two.\n- More.\n"},
		{release{version: "0.1.0"}, "- One.\n"},
		{release{version: "0.3.1-snapshot", snapshot: true}, "- Three.\n"},
	} {
		if got, err := tt.r.notes(changelog); got != tt.want || err != nil {
			t.Errorf("notes of %s = %q, %v, want %q", tt.r.version, got, err, tt.want)
		}
	}
	if got, err := (release{version: "0.9.0"}).notes(changelog); err == nil {
		t.Errorf("a version without a section has the notes %q", got)
	}
}

// A source without commits has no date, and makes no release.
func TestNoCommit(t *testing.T) {
	for _, date := range []time.Time{{}, time.Unix(0, 0).UTC()} {
		if err := run(release{version: "1.0.0", date: date}); err == nil {
			t.Errorf("a release of %v was made", date)
		}
	}
}
