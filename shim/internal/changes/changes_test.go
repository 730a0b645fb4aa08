package changes

import "testing"

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestFeed(t *testing.T) {
	f := New()
	changed, more := f.Wait()
	if closed(changed) || !more {
		t.Fatal("a change was reported before the first one")
	}
	id := f.ID()
	f.Notify()
	if !closed(changed) {
		t.Error("a waiter was not woken")
	}
	if f.ID() == id {
		t.Error("the state has the same name after a change")
	}
	if changed, more = f.Wait(); closed(changed) || !more {
		t.Error("a second change without a notification")
	}
	f.Close()
	f.Close()
	f.Notify()
	if !closed(changed) {
		t.Error("closing woke no waiter")
	}
	if changed, more = f.Wait(); !closed(changed) || more {
		t.Error("a closed feed promises another change")
	}
}
