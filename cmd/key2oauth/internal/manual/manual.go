// Package manual prints the manual page, key2oauth(1), from the help of the
// commands, so that there is one text to keep true.
package manual

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/cli"
)

// Command prints the manual page, for packages. There is one page for all
// commands, since their help is short.
func Command(p *cli.Program) *cobra.Command {
	return &cobra.Command{
		Use:    "manual",
		Short:  "Print the manual page, key2oauth(1)",
		Hidden: true,
		Args:   cli.Wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return writeManual(p.Stdout, cmd.Root(), p.Version)
		},
	}
}

func writeManual(w io.Writer, root *cobra.Command, version string) error {
	m := &manual{}
	m.line(`.\" Made by "key2oauth manual".`)
	m.line(`.TH KEY2OAUTH 1 "" "key2oauth %s" "User Commands"`, roff(version))
	m.line(".SH NAME")
	m.line(`key2oauth \- %s`, roff(lowerFirst(root.Short)))
	m.line(".SH SYNOPSIS")
	m.line(".B key2oauth\n.RI [ flags ]\n.br\n.B key2oauth\n.IR \"command \" [ arguments ]")
	m.line(".SH DESCRIPTION")
	m.paragraphs(root.Long)
	m.line(".SH OPTIONS\nA flag with a variable in brackets can also be set by that variable.")
	m.flags(root.LocalNonPersistentFlags(), nil)
	m.flags(root.PersistentFlags(), nil)
	m.line(".SH COMMANDS")
	for _, c := range root.Commands() {
		if c.Hidden {
			continue
		}
		m.line(".SS key2oauth %s", roff(c.Use))
		if c.Long != "" {
			m.paragraphs(c.Long)
		} else {
			m.paragraphs(c.Short + ".")
		}
		m.flags(c.LocalNonPersistentFlags(), root.LocalNonPersistentFlags())
		m.example(c.Example)
	}
	m.line(".SH EXAMPLES")
	m.example(root.Example)
	m.line(".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 3 Key2OAuth is not running.")
	_, err := io.WriteString(w, m.String())
	return err
}

// A manual is a page in the language of man(7).
type manual struct{ strings.Builder }

// line adds a line. Its arguments must have gone through roff.
func (m *manual) line(format string, args ...any) { fmt.Fprintf(m, format+"\n", args...) }

// paragraphs adds text as help shows it. A paragraph with indented lines keeps
// its line breaks.
func (m *manual) paragraphs(text string) {
	for _, par := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if strings.Contains("\n"+par, "\n ") {
			m.example(par)
			continue
		}
		m.line(".PP")
		for _, l := range strings.Split(par, "\n") {
			m.line("%s", roff(l))
		}
	}
}

func (m *manual) example(text string) {
	if text == "" {
		return
	}
	m.line(".PP\n.nf")
	for _, l := range strings.Split(strings.Trim(text, "\n"), "\n") {
		m.line("%s", roff(l))
	}
	m.line(".fi")
}

// flags adds the flags of fs that are not in known.
func (m *manual) flags(fs, known *pflag.FlagSet) {
	again := false
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" || f.Name == "version" {
			return
		}
		if known != nil && known.Lookup(f.Name) != nil {
			again = true
			return
		}
		name, usage := pflag.UnquoteUsage(f)
		m.line(".TP\n.B %s", roff(strings.TrimSpace("--"+f.Name+" "+name)))
		m.line("%s", roff(strings.ReplaceAll(usage, "\n", " ")))
	})
	if again {
		m.line(".PP\nIt also takes the flags under OPTIONS.")
	}
}

// roff escapes text for man(7).
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
