// Gen writes list.json and texts from the modules that "go list" says are linked
// into the program. "go generate" runs it.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/licenses"
	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/licenses/golist"
)

// notGenerated is the text of what is part of a package without being a module:
// the installer's own program.
const notGenerated = "nsis.txt"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run() error {
	if err := clear(); err != nil {
		return err
	}
	modules := map[string]*licenses.Module{}
	dirs := map[string]string{}
	for _, system := range licenses.Systems {
		linked, err := golist.Linked(system)
		if err != nil {
			return err
		}
		for _, l := range linked {
			if modules[l.Path] == nil {
				modules[l.Path] = &licenses.Module{Path: l.Path, Version: l.Version}
				dirs[l.Path] = l.Dir
			}
			modules[l.Path].Systems = append(modules[l.Path].Systems, system)
		}
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return err
	}
	const runtime = "Go runtime and standard library"
	modules[runtime] = &licenses.Module{Path: runtime, Systems: licenses.Systems}
	dirs[runtime] = strings.TrimSpace(string(root))

	seen := map[string]string{}
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		m := modules[path]
		if m.Texts, err = keep(path, dirs[path], seen); err != nil {
			return err
		}
		if m.SPDX, err = classify(m.Texts); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	modules["NSIS"] = &licenses.Module{Path: "NSIS (the Windows installer)", Systems: []string{"windows"}, SPDX: "Zlib", Texts: []string{notGenerated}}
	list := slices.SortedFunc(maps.Values(modules), func(a, b *licenses.Module) int { return cmp.Compare(a.Path, b.Path) })
	b, err := json.MarshalIndent(list, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile("list.json", append(b, '\n'), 0o644)
}

// clear deletes the texts of the last run.
func clear() error {
	old, err := filepath.Glob("texts/*")
	if err != nil {
		return err
	}
	for _, name := range old {
		if filepath.Base(name) == notGenerated {
			continue
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return os.MkdirAll("texts", 0o755)
}

var legal = regexp.MustCompile(`(?i)^(licen[cs]e|copying|copyright|notice|patents)(\.(txt|md))?$`)

// keep copies the license files of a module into texts, each text once, and
// returns their names there. seen has the texts that are there.
func keep(path, dir string, seen map[string]string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !legal.MatchString(e.Name()) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		b = append(bytes.TrimSpace(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))), '\n')
		name := seen[string(b)]
		if name == "" {
			base := strings.TrimSuffix(strings.ToUpper(e.Name()), filepath.Ext(strings.ToUpper(e.Name())))
			name = strings.NewReplacer("/", "_", " ", "_").Replace(path) + "." + base + ".txt"
			if err := os.WriteFile(filepath.Join("texts", name), b, 0o644); err != nil {
				return nil, err
			}
			seen[string(b)] = name
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no license file in %s", path, dir)
	}
	return names, nil
}

// named finds a text that names its own license.
var named = regexp.MustCompile(`SPDX-License-Identifier: ([\w.-]+(?: (?:OR|AND|WITH) [\w.-]+)*)`)

// classify names the license in a module's texts. It knows the few that there
// are; a person should read a new one first.
func classify(texts []string) (string, error) {
	var all []string
	for _, name := range texts {
		b, err := os.ReadFile(filepath.Join("texts", name))
		if err != nil {
			return "", err
		}
		text := strings.Join(strings.Fields(string(b)), " ")
		has := func(words string) bool { return strings.Contains(text, words) }
		var found []string
		if m := named.FindStringSubmatch(text); m != nil {
			all = append(all, m[1])
			continue
		}
		if has("Apache License") {
			found = append(found, "Apache-2.0")
		}
		if has("Permission is hereby granted, free of charge") {
			found = append(found, "MIT")
		}
		if has("Redistribution and use in source and binary forms") {
			if has("Neither the name") || has("names of its contributors") || has("may not be used to endorse") {
				found = append(found, "BSD-3-Clause")
			} else {
				found = append(found, "BSD-2-Clause")
			}
		}
		if len(found) == 0 && !has("Additional IP Rights Grant (Patents)") {
			return "", fmt.Errorf("%s is none of the known licenses", name)
		}
		all = append(all, found...)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " AND "), nil
}
