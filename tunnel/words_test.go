package tunnel

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Every known ngrok code that reaches an agent, the owner or an app has its own
// words, and names who has to fix it.
func TestN04EveryCodeHasWords(t *testing.T) {
	codes := strings.Fields(`
		102 103 105 106 107 108 120 121 300 313 314 316 319 320 324 334 337 338 348
		702 703 715 725 727 734 3004 3200 3208 4018 4026 6024 8012 8013
		9009 9036 9037 9038 9040 15013 22001`)
	for _, code := range codes {
		if _, ok := words[Cause(code)]; !ok {
			t.Errorf("ERR_NGROK_%s has no words", code)
		}
	}
	for key := range words {
		if key != "" && strings.Trim(string(key), "0123456789") == "" && !slices.Contains(codes, string(key)) {
			t.Errorf("ERR_NGROK_%s has words, and is not in the list of this test", key)
		}
	}
	if got := ProblemOf("77777"); got.Code != "ERR_NGROK_77777" || got.Words != words[CauseUnknownCode].Words {
		t.Errorf("an unknown code: got %+v", got)
	}
	if got := ProblemOf("heavy weather"); got.Code != "" || got.Words != words[CauseUnknown].Words {
		t.Errorf("an unknown name: got %+v", got)
	}
	if got := ProblemOf(CauseHeldLong).Code; got != "ERR_NGROK_334" {
		t.Errorf("held for long: got %q", got)
	}
}

// The words are for people who know nothing about protocols.
func TestWords(t *testing.T) {
	pages := []string{"", authtokenPage, domainsPage, agentsPage, accountPage, billingPage, supportPage, releasesPage}
	for key, p := range words {
		for what, s := range map[string]string{"words": p.Words, "next step": p.Next} {
			switch {
			case s == "" || !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "com"):
				t.Errorf("%s: %s %q is no sentence", key, what, s)
			case strings.ContainsFunc(s, func(r rune) bool { return r > 126 || r < 32 }):
				t.Errorf("%s: %s %q is not ASCII", key, what, s)
			case len(s) > 220:
				t.Errorf("%s: %s has %d characters", key, what, len(s))
			}
			for _, jargon := range []string{"TLS", "TCP", "DNS", "x509", "socket", "EOF", "session ID", "handshake", "upstream", "ERR_", "!", "Error", "failed to"} {
				if strings.Contains(s, jargon) {
					t.Errorf("%s: %s says %q: %q", key, what, jargon, s)
				}
			}
		}
		if !slices.Contains(pages, p.Link) {
			t.Errorf("%s: %q is not in the table of links", key, p.Link)
		}
		if !slices.Contains([]Whose{Yours, Ngroks, Network, Ours}, p.Whose) {
			t.Errorf("%s: who has to fix it?", key)
		}
		if again := strings.Contains(p.Next, "keeps trying") || strings.Contains(p.Next, "automatically"); again && p.Permanent {
			t.Errorf("%s is not tried again, and says so: %q", key, p.Next)
		}
	}
}

func TestClassify(t *testing.T) {
	dial := func(err error) error {
		return fmt.Errorf("failed to dial ngrok server: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)})
	}
	tests := []struct {
		name string
		err  error
		want Cause
	}{
		{"a code", errors.New("authentication failed: no\n\nERR_NGROK_107\n"), "107"},
		{"a code in a link", errors.New("Banned.\n\nhttps://ngrok.com/docs/errors/err_ngrok_3208"), "3208"},
		{"a code that is not known", errors.New("ERR_NGROK_99"), CauseUnknownCode},
		{"a code is stronger than what broke", fmt.Errorf("ERR_NGROK_105: %w", io.EOF), "105"},
		{"no such name", fmt.Errorf("dial: %w", &net.DNSError{Name: "connect.ngrok-agent.com", IsNotFound: true}), CauseNoName},
		{"refused", dial(errRefused), CauseRefused},
		{"no network", dial(errNoNetwork), CauseUnreachable},
		{"no route", dial(errNoRoute), CauseUnreachable},
		{"timeout of the system", dial(syscall.ETIMEDOUT), CauseSlow},
		{"timeout of ours", context.DeadlineExceeded, CauseSlow},
		{"a stranger's certificate", fmt.Errorf("tls: %w", x509.UnknownAuthorityError{}), CauseIntercepted},
		{"a certificate for another", x509.HostnameError{Certificate: new(x509.Certificate), Host: "x"}, CauseIntercepted},
		{"the end", io.EOF, CauseBroken},
		{"a session that ended", errors.New("failed to send authentication request: session closed"), CauseBroken},
		{"a silent one", errors.New("remote failed to reply to heartbeat"), CauseSilent},
		{"anything else", errors.New("authtoken 2secret"), CauseUnknown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := Classify(test.err)
			got := f.Problem.Cause
			if got == CauseOffline && slices.Contains([]Cause{CauseNoName, CauseUnreachable, CauseSlow}, test.want) {
				got = test.want // this machine reports that it has no network
			}
			if got != test.want {
				t.Errorf("got %q, want %q", f.Problem.Cause, test.want)
			}
			if f.Error() == "" || strings.Contains(f.Error(), "2secret") {
				t.Errorf("got %q", f.Error())
			}
		})
	}
}

// No matter what ngrok says, only its error code is shown.
func FuzzClassify(f *testing.F) {
	f.Add("The authtoken you specified is invalid.\nYour authtoken: ", "\n\nERR_NGROK_107\n")
	f.Add("", "EOF")
	f.Add("err_ngrok_", "9999999999")
	const secret = "2secret_authtoken_XYZZY"
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, err := range []error{errors.New(before + secret + after), fmt.Errorf("%s%s%s: %w", before, secret, after, io.EOF)} {
			fault := Classify(err)
			p := fault.Problem
			if told := fault.Error() + p.Code + p.Words + p.Next + p.Link; strings.Contains(told, secret) {
				t.Errorf("told %q", told)
			}
			if p.Words == "" || p.Next == "" {
				t.Errorf("no words for %q", err)
			}
		}
	})
}
