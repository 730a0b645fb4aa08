package main

import (
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/cli"
	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/shim/shimtest/catalogue"
)

// TestDoctorShowsProgress holds up one server. Earlier results are printed
// already, and a terminal also shows which server is being checked. That line
// is gone at the end, and a pipe never gets it.
func TestDoctorShowsProgress(t *testing.T) {
	s := serveHere(t)
	defer func() { s.cancel(); <-s.done }()
	up := shimtest.NewUpstream(t, shimtest.Options{Key: "sk-canary-doctor-51c7"})
	var stdout, stderr testenv.Output
	if err := run(t.Context(), []string{"add", up.URL, "--name", "Slow", "--key-stdin", "--data-dir", s.dir}, strings.NewReader(up.Key()), &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	person, tty := openPTY(t)
	var screen, pipe testenv.Output
	go io.Copy(&screen, person)
	for name, tt := range map[string]struct {
		to   io.Writer
		seen *testenv.Output
		live bool
	}{"terminal": {tty, &screen, true}, "pipe": {&pipe, &pipe, false}} {
		t.Run(name, func(t *testing.T) {
			hold, held, release := shimtest.Hold(t)
			up.Break(hold)
			done := make(chan error, 1)
			go func() {
				done <- run(t.Context(), []string{"doctor", "--data-dir", s.dir}, strings.NewReader(""), tt.to, &stderr)
			}()
			<-held
			waitUntil(t, "what was looked at before is there", func() bool {
				return strings.Contains(tt.seen.String(), catalogue.WhatRevoke) && (!tt.live || strings.Contains(tt.seen.String(), "...     Slow, key 1"))
			})
			if got := tt.seen.String(); regexp.MustCompile(`(?m)^\s+ok +Slow`).MatchString(got) {
				t.Errorf("the server is reported as fine before it has answered:\n%s", got)
			}
			release()
			err := <-done
			if f, ok := errors.AsType[*cli.Failure](err); ok && f.Code != cli.ExitFailed || !ok && err != nil {
				t.Fatalf("key2oauth doctor: %v", err)
			}
			waitUntil(t, "the server is well", func() bool { return strings.Contains(tt.seen.String(), "ok      Slow, key 1") })
			got := tt.seen.String()
			if tt.live {
				got = erased.ReplaceAllString(got, "")
			}
			if strings.ContainsAny(got, "\x1b") || strings.Contains(got, "...   ") || strings.Contains(strings.ReplaceAll(got, "\r\n", "\n"), "\r") {
				t.Errorf("the progress line was not removed:\n%q", got)
			}
			if strings.Contains(got, up.Key()) {
				t.Error("the report holds the key")
			}
		})
	}
}

// erased is a progress line that was removed again.
var erased = regexp.MustCompile(`  \.\.\.     [^\r\n]*\r *\r`)
