package ledger

import "testing"

// TestTimelineWhileWritten: while a write has taken a record but not committed
// it, reads return that record and not the older one in the file.
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
		t.Errorf("a newer record is %q, want it to win over the one that is being written", got)
	}
}
