//go:build !linux

package main

import "errors"

// A form is what runs besides the listener.
type form struct {
	name         string
	tray, tunnel bool
}

func (b *bench) startForm(string, form) (*process, func(), error) {
	return nil, nil, errors.New("this is measured only on Linux")
}
