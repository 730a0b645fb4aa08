package cli

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

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/listen"
	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
)

// DoctorCommand returns the command "doctor".
func (p *Program) DoctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [flags]",
		Short: "Check everything, and say what to fix",
		Long: `Run a complete sign-in, as an app would, on this computer and over the internet.
Test every key at its server, and check the keychain, disk, clock and tunnel.
Each problem comes with who has to fix it, and how. The report contains no keys
or tokens, so you can show it to others.

The exit code is 1 if something does not work, and 3 if Key2OAuth is not running;
then the report says what keeps it from starting.`,
		Args: Wants(),
	}
	asJSON := JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if note := p.RuntimeNote; note != "" {
			fmt.Fprintf(p.Stderr, "key2oauth: this program was built with %s, %s\n", runtime.Version(), note)
		}
		c, err := p.Connect()
		if f, ok := errors.AsType[*Failure](err); ok && f.Code == ExitNotRunning {
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
			if err := p.PrintJSON(raw); err != nil {
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
		return Failed(fmt.Errorf("%d of %d checks failed", n, len(report.Findings)), "the report says what to do about each")
	}
	return cmd
}

// examineStopped looks for what keeps Key2OAuth from running, and returns why as
// the error.
func (p *Program) examineStopped(why error, asJSON bool) error {
	now := time.Now().UTC()
	report := api.Report{Version: p.Version, Began: now, Findings: stopped(p.DataDir)}
	now = time.Now().UTC()
	report.Ended = &now
	if asJSON {
		raw, err := json.Marshal(report)
		if err != nil {
			return err
		}
		return errors.Join(p.PrintJSON(raw), why)
	}
	p.newReportPrinter().print(report.Findings)
	return why
}

// stopped examines what Key2OAuth needs in order to run. It listens on the
// address for a moment.
func stopped(dir string) []api.Finding {
	app := api.Finding{
		ID: "computer.app", What: "Key2OAuth", State: api.FindingFailed, Whose: api.WhoseYours,
		Words: "Key2OAuth is not running.", Next: `Start it as you start other programs, or run "key2oauth serve".`,
	}
	folder := api.Finding{ID: "computer.folder", What: "Data folder", State: api.FindingOK}
	port := api.Finding{ID: "computer.port", What: "Address for apps on this computer", State: api.FindingSkipped, Words: "No address has been chosen yet."}
	addr, err := shim.StoredAddr(dir)
	if err != nil {
		folder.State, folder.Whose = api.FindingFailed, api.WhoseYours
		folder.Words, folder.Next = Printable(err.Error()), "Fix that, then start Key2OAuth again."
		port.Words = "The address is kept in the data folder."
	}
	if addr != "" {
		port.State, port.Words = api.FindingOK, addr+" is free."
		ln, err := listen.On(addr)
		if err == nil {
			err = ln.Close()
		}
		if err != nil {
			port.State, port.Whose, port.Words = api.FindingFailed, api.WhoseYours, err.Error()+". Apps on this computer use this address, so Key2OAuth does not change it."
			port.Next = `Quit that program, then start Key2OAuth again. To use another address this time, run "key2oauth serve --addr :0".`
		}
	}
	if folder.State == api.FindingFailed || port.State == api.FindingFailed {
		app.State, app.Whose, app.Next = api.FindingSkipped, "", ""
		app.Words = "Key2OAuth is not running. The problem below keeps it from starting."
	}
	all := []api.Finding{app, folder, port}
	for i := range all {
		all[i].Group = api.GroupComputer
	}
	return all
}

// examine has the running Key2OAuth examine everything. If show is true, it
// prints each finding as it arrives.
func (p *Program) examine(ctx context.Context, c *Client, show bool) (report api.Report, raw []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Origin+"/api/doctor", nil)
	if err != nil {
		return report, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	patient := *c.http
	patient.Timeout = 0 // servers with a problem are slow
	res, err := patient.Do(req)
	if err != nil {
		return report, nil, noAnswer(c.Origin, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return report, nil, fmt.Errorf("Key2OAuth at %s answered %s", c.Origin, res.Status)
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
			return report, nil, fmt.Errorf("reading the answer of Key2OAuth: %w", err)
		}
		report = api.Report{}
		if err := json.Unmarshal(line, &report); err != nil {
			return report, nil, fmt.Errorf("reading the answer of Key2OAuth: %w", err)
		}
		raw = line
		if show {
			out.print(report.Findings)
		}
	}
	out.clear()
	if report.Ended == nil {
		return report, nil, &Failure{ExitNotRunning, errors.New("Key2OAuth quit before the report was complete"), "start it with: key2oauth serve"}
	}
	return report, raw, nil
}

// A reportPrinter prints each finding once it is known. On a terminal, the last
// line shows what is being examined.
type reportPrinter struct {
	p       *Program
	printed map[string]bool
	group   string
	live    bool
	shown   int // how many characters the last line has
}

func (p *Program) newReportPrinter() *reportPrinter {
	return &reportPrinter{p: p, printed: make(map[string]bool), live: IsTerminal(p.Stdout)}
}

func (r *reportPrinter) print(findings []api.Finding) {
	for _, f := range findings {
		if r.printed[f.ID] {
			continue
		}
		r.clear()
		if f.State != api.FindingRunning {
			r.printed[f.ID] = true
			fmt.Fprint(r.p.Stdout, shim.FindingText(f, r.group))
			r.group = f.Group
			continue
		}
		if r.live {
			line := []rune("  ...     " + Printable(f.What))
			line = line[:min(len(line), 76)] // a longer one would wrap
			r.shown = len(line)
			fmt.Fprint(r.p.Stdout, string(line))
		}
		return // one at a time
	}
}

// clear removes that last line.
func (r *reportPrinter) clear() {
	if r.shown > 0 {
		fmt.Fprint(r.p.Stdout, "\r"+strings.Repeat(" ", r.shown)+"\r")
		r.shown = 0
	}
}
