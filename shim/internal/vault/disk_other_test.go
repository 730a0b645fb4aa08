//go:build !linux

package vault

import "errors"

func noRoomProcess(string) error   { return errors.ErrUnsupported }
func noRightsProcess(string) error { return errors.ErrUnsupported }
