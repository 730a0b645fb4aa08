//go:build unix

package main

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A pipe in the place of a backup is not opened: that would wait for a writer.
func TestRestoreFromPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	answered := make(chan bool, 1)
	go func() { answered <- isForMoving(pipe) }()
	select {
	case moving := <-answered:
		if moving {
			t.Error("a pipe was taken for a file to move everything with")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the pipe was opened")
	}
}
