package web

import (
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/apps"
)

// TestEveryAppRenders draws the page of every app: all of its links lead
// somewhere, each thing to copy has a button, and it ends with its last click.
func TestEveryAppRenders(t *testing.T) {
	const slug = "k3v9x2m7q4ab"
	for _, a := range apps.All() {
		at := a.Where
		if at == apps.Either {
			at = apps.Internet
		}
		g, ok := a.Guide(apps.Target{Name: "linear", Title: "Linear", Local: mcpURL(local, slug), Public: mcpURL(public, slug)}, at)
		if !ok {
			t.Fatalf("%s has no steps", a.ID)
		}
		p := ConnectApp{Slug: slug, Server: "Linear", App: a, At: at, Guide: g, Ready: true, Waiting: &Waiting{App: a.Called(), At: at, State: WaitingStill}}
		body := render(p).Body.String()
		if strings.Contains(body, "ZgotmplZ") || strings.Contains(body, `href=""`) || strings.Contains(body, "**") {
			t.Errorf("%s: a link or a text is not drawn", a.ID)
		}
		copies := 0
		for _, s := range g.Steps {
			for _, s := range []*apps.Instruction{&s, s.ByHand} {
				if s != nil && s.Copy != "" {
					copies++
				}
			}
		}
		if got := strings.Count(body, "data-copy="); got != copies {
			t.Errorf("%s: %d Copy buttons for %d things to copy", a.ID, got, copies)
		}
		if p.Source() == "" {
			t.Errorf("%s: the page does not say where its steps come from", a.ID)
		}
	}
}

// TestWaitingSays: the page says in each state something of its own, and who has
// to fix what is wrong.
func TestWaitingSays(t *testing.T) {
	seen := make(map[string]string)
	for _, state := range []string{WaitingStill, WaitingNothing, WaitingGoing, WaitingStopped, WaitingTrouble, WaitingConnected} {
		w := Waiting{App: "Claude Code", At: apps.Computer, State: state, Who: "Claude Code", Words: "words", Next: "next", Whose: "yours"}
		if other, ok := seen[w.Heading()]; ok {
			t.Errorf("%s says %q, as %s does", state, w.Heading(), other)
		}
		seen[w.Heading()] = state
		wrong := state == WaitingStopped || state == WaitingTrouble
		if got := w.WhoseWords() != "" && w.WhatNext() == "next"; got != wrong {
			t.Errorf("%s says who has to fix it, and how: %t, want %t", state, got, wrong)
		}
		if got := len(w.Causes()); (got == 3) != (state == WaitingNothing) {
			t.Errorf("%s has %d causes", state, got)
		}
		if strings.Contains(w.Heading()+w.Says(), "%") {
			t.Errorf("%s: %q, %q has a gap", state, w.Heading(), w.Says())
		}
	}
	for at, want := range map[apps.Place]int{apps.Computer: 3, apps.Internet: 3} {
		all := Waiting{App: "Claude", At: at, State: WaitingNothing}.Causes()
		if len(all) != want {
			t.Errorf("%s: %d causes, want %d", at, len(all), want)
		}
		for _, c := range all {
			if c.Whose == "" || strings.Contains(c.Words, "%") {
				t.Errorf("%s: %+v", at, c)
			}
		}
	}
}
