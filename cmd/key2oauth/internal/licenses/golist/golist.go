// Package golist asks the go command which modules the program is made of. It is a
// package of its own so that the program does not contain it.
package golist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
)

// A Module is one as "go list" names it.
type Module struct {
	Path, Version, Dir string
	Main               bool
}

// Linked asks the go command for the modules that a program for one system, a
// value of GOOS, is made of. On macOS that is the program with a tray, which
// needs cgo.
func Linked(system string) ([]Module, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=Module", "github.com/key2oauth/key2oauth/cmd/key2oauth")
	cgo := "0"
	if system == "darwin" {
		cgo = "1"
	}
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED="+cgo)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list for %s: %w\n%s", system, err, stderr.Bytes())
	}
	var all []Module
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ Module *Module }
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if m := p.Module; m != nil && !m.Main && !slices.Contains(all, *m) {
			all = append(all, *m)
		}
	}
	return all, nil
}
