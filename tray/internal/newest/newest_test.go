package newest

import (
	"context"
	"testing"
	"testing/synctest"
)

func TestValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		values := make(chan int)
		v := New[int]()
		done := make(chan struct{})
		go func() { v.Follow(ctx, values); close(done) }()
		for i := range 100 {
			values <- i // this does not block, although the value is not taken
		}
		synctest.Wait()
		<-v.Changed()
		if got := v.Get(); got != 99 {
			t.Errorf("Get() = %d, want the newest, 99", got)
		}
		select {
		case <-v.Changed():
			t.Error("one change was announced twice")
		default:
		}
		values <- 7
		<-v.Changed()
		if got := v.Get(); got != 7 {
			t.Errorf("Get() = %d, want 7", got)
		}
		cancel()
		<-done
	})
}

func TestClosedStream(t *testing.T) {
	values := make(chan string, 1)
	values <- "last"
	close(values)
	v := New[string]()
	v.Follow(t.Context(), values)
	<-v.Changed()
	if got := v.Get(); got != "last" {
		t.Errorf("Get() = %q, want last", got)
	}
}
