//go:build !linux

package main

import "errors"

// A form is how the program runs: with what besides the listener.
type form struct {
	name         string
	tray, tunnel bool
}

func (b *bench) startForm(string, form) (*process, func(), error) {
	return nil, nil, errors.New("this is measured on Linux alone")
}
