package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
)

func (p *program) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [flags]",
		Short: "Check everything, and say whose fault it is",
		Long: `Check everything: play a client on this computer and through the public address,
try each server with its keys, and look at keychain, disk, clock and tunnel.
The report holds no key and no token, so it can be shown to others.

It ends with 1 if something does not work, and with 3 if the app does not run;
then it says what keeps it from running.`,
		Args: wants(),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if note := runtimeNote(runtime.Version()); note != "" {
			fmt.Fprintf(p.stderr, "key2oauth: this program was built with %s, %s\n", runtime.Version(), note)
		}
		c, err := p.connect()
		if f, ok := errors.AsType[*failure](err); ok && f.code == exitNotRunning {
			return p.examineStopped(err, *asJSON)
		}
		if err != nil {
			return err
		}
		report, raw, err := p.examine(cmd.Context(), c, !*asJSON)
		if err != nil {
			return err
		}
		if *asJSON {
			if err := p.printJSON(raw); err != nil {
				return err
			}
		}
		if report.OK {
			return nil
		}
		n := 0
		for _, f := range report.Findings {
			if f.State == api.FindingFailed {
				n++
			}
		}
		return failed(fmt.Errorf("%d of %d checks failed", n, len(report.Findings)), "each says above what to do")
	}
	return cmd
}

// examineStopped looks for what keeps the app from running, and reports why as
// the error.
func (p *program) examineStopped(why error, asJSON bool) error {
	now := time.Now().UTC()
	report := api.Report{Version: version(), Began: now, Findings: stopped(p.dataDir)}
	now = time.Now().UTC()
	report.Ended = &now
	if asJSON {
		raw, err := json.Marshal(report)
		if err != nil {
			return err
		}
		return errors.Join(p.printJSON(raw), why)
	}
	p.newReportPrinter().print(report.Findings)
	return why
}

// stopped looks at what the app needs in order to run. It takes the address for
// a moment.
func stopped(dir string) []api.Finding {
	app := api.Finding{
		ID: "computer.app", What: "Key2OAuth", State: api.FindingFailed, Whose: api.WhoseYours,
		Words: "It does not run.", Next: `Start it as you start other programs, or with "key2oauth serve".`,
	}
	folder := api.Finding{ID: "computer.folder", What: "Data folder", State: api.FindingOK}
	port := api.Finding{ID: "computer.port", What: "Address for apps on this computer", State: api.FindingSkipped, Words: "None has been chosen yet."}
	addr, err := shim.StoredAddr(dir)
	if err != nil {
		folder.State, folder.Whose = api.FindingFailed, api.WhoseYours
		folder.Words, folder.Next = printable(err.Error()), "Do that, and start Key2OAuth again."
		port.Words = "It is kept in the data folder."
	}
	if addr != "" {
		port.State, port.Words = api.FindingOK, addr+" is free."
		ln, err := listenOn(addr, "")
		if err == nil {
			err = ln.Close()
		}
		if err != nil {
			port.State, port.Whose, port.Words = api.FindingFailed, api.WhoseYours, err.Error()+". Apps on this computer know this address, so Key2OAuth takes no other."
			port.Next = `End that program, and start Key2OAuth again. For this once "key2oauth serve --addr :0" serves elsewhere.`
		}
	}
	if folder.State == api.FindingFailed || port.State == api.FindingFailed {
		app.State, app.Whose, app.Next = api.FindingSkipped, "", ""
		app.Words = "It does not run, and what is said below keeps it from that."
	}
	all := []api.Finding{app, folder, port}
	for i := range all {
		all[i].Group = api.GroupComputer
	}
	return all
}

// examine has the app examine everything, and prints each finding as it comes
// if show is true.
func (p *program) examine(ctx context.Context, c *client, show bool) (report api.Report, raw []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.origin+"/api/doctor", nil)
	if err != nil {
		return report, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	patient := *c.http
	patient.Timeout = 0 // servers are slow when they are ill
	res, err := patient.Do(req)
	if err != nil {
		return report, nil, &failure{exitNotRunning, fmt.Errorf("the app at %s does not answer: %w", c.origin, errors.Unwrap(err)), hintStart}
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return report, nil, fmt.Errorf("the app at %s answered %s", c.origin, res.Status)
	}
	out := p.newReportPrinter()
	lines := bufio.NewReader(res.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			out.clear()
			return report, nil, fmt.Errorf("reading the app's answer: %w", err)
		}
		report = api.Report{}
		if err := json.Unmarshal(line, &report); err != nil {
			return report, nil, fmt.Errorf("reading the app's answer: %w", err)
		}
		raw = line
		if show {
			out.print(report.Findings)
		}
	}
	out.clear()
	if report.Ended == nil {
		return report, nil, &failure{exitNotRunning, errors.New("the app ended before the report was complete"), hintStart}
	}
	return report, raw, nil
}

// A reportPrinter prints each finding once it is known. On a terminal the one
// that is looked at stands below them meanwhile.
type reportPrinter struct {
	p       *program
	printed map[string]bool
	group   string
	live    bool
	shown   int // how many characters of what is looked at stand on the last line
}

func (p *program) newReportPrinter() *reportPrinter {
	return &reportPrinter{p: p, printed: make(map[string]bool), live: isTerminal(p.stdout)}
}

func (r *reportPrinter) print(findings []api.Finding) {
	for _, f := range findings {
		if r.printed[f.ID] {
			continue
		}
		r.clear()
		if f.Group != r.group {
			r.group = f.Group
			fmt.Fprintln(r.p.stdout, shim.GroupTitle(r.group))
		}
		if f.State != api.FindingRunning {
			r.printed[f.ID] = true
			fmt.Fprint(r.p.stdout, shim.FindingText(f))
			continue
		}
		if r.live {
			line := []rune("  ...     " + printable(f.What))
			line = line[:min(len(line), 76)] // more would not be one line
			r.shown = len(line)
			fmt.Fprint(r.p.stdout, string(line))
		}
		return // one at a time
	}
}

// clear takes away what is looked at.
func (r *reportPrinter) clear() {
	if r.shown > 0 {
		fmt.Fprint(r.p.stdout, "\r"+strings.Repeat(" ", r.shown)+"\r")
		r.shown = 0
	}
}
