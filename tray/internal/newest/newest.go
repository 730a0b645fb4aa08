// Package newest hands values from a sender that must not wait to a slow
// receiver, which gets only the newest.
package newest

import (
	"context"
	"sync"
)

// A Value is the newest of a stream of values.
type Value[T any] struct {
	changed chan struct{} // holds an entry if there is a value that was not taken

	mu    sync.Mutex
	value T
}

// New returns a Value that is still empty.
func New[T any]() *Value[T] { return &Value[T]{changed: make(chan struct{}, 1)} }

// Follow takes values until ctx ends or there are no more.
func (v *Value[T]) Follow(ctx context.Context, values <-chan T) {
	for {
		select {
		case value, ok := <-values:
			if !ok {
				return
			}
			v.mu.Lock()
			v.value = value
			v.mu.Unlock()
			select {
			case v.changed <- struct{}{}:
			default:
			}
		case <-ctx.Done():
			return
		}
	}
}

// Changed delivers an entry when there is an unannounced value.
func (v *Value[T]) Changed() <-chan struct{} { return v.changed }

// Get returns the newest value.
func (v *Value[T]) Get() T {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.value
}
