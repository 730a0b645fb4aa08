package ledger

import "testing"

// TestTimelineWhileWritten: a record that a write has taken and not committed
// is still the newest one, not what the file has.
func TestTimelineWhileWritten(t *testing.T) {
	l := &Ledger{}
	l.backlog.timelines = map[string]timeline{"a": {record: []byte("1")}, "b": {record: []byte("1")}}
	l.backlog.take()
	l.backlog.timelines = map[string]timeline{"b": {record: []byte("2"), done: true}}
	lines := l.pendingTimelines()
	if got := string(lines["a"].record); got != "1" {
		t.Errorf("while a write is under way the record is %q, want the one that is being written", got)
	}
	if got := string(lines["b"].record); got != "2" {
		t.Errorf("a newer record is %q, want it to count for more than the one that is being written", got)
	}
}
