// Package ring asks the keychain of the operating system one thing at a time: what
// state it is in, or for an item. What the item is, it does not know.
//
// A locked keychain may block its caller forever. So there is an answer in the
// caller's time at any rate, and on Linux, where that is common, it is a child
// process that asks, since a process can be killed.
package ring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	gokeyring "github.com/zalando/go-keyring"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// Service is the service of all our items in the keychain. Which of them is
// whose, their accounts tell.
const Service = "key2oauth"

// A Status is what the keychain answers, to a look or to a question.
type Status string

// What a keychain answers.
const (
	Unlocked    Status = "unlocked"
	Locked      Status = "locked"
	NotSetUp    Status = "not_set_up"  // there is a service but no keyring in it
	Unavailable Status = "unavailable" // there is no service
	Slow        Status = "slow"        // no answer in time

	Found   Status = "found"
	Missing Status = "missing"
	Refused Status = "refused" // unlocked, and yet the item was not given
)

// An Op is what the keychain is asked to do.
type Op string

// What it can be asked.
const (
	Probe  Op = "probe"  // look only: it never raises a prompt
	Get    Op = "get"    // may raise a prompt
	Look   Op = "look"   // get, but only while the keychain is unlocked
	Set    Op = "set"    // stores unless there is one, answers with the one that is there
	Delete Op = "delete" // answers missing
)

// A Request goes over a pipe to the child. It holds the master key as it is, so
// it is never logged; nor is a Reply.
type Request struct {
	Op      Op     `json:"op"`
	Account string `json:"account,omitempty"` // of the item; "" only to probe
	Key     string `json:"key,omitempty"`
}

// A Reply comes back over another pipe.
type Reply struct {
	Status Status `json:"status"`
	Key    string `json:"key,omitempty"`
	Words  string `json:"words,omitempty"`
}

// An Answer is a reply that may be logged.
type Answer struct {
	Status Status
	Words  string
	Key    endpoint.Secret
}

// A Ring talks to the keychain of the operating system, in a child process if
// helper is set.
type Ring struct {
	helper []string
	serve  func(Request) Reply // in this process
}

// New returns the keychain of this user. It uses helper, which is the command line
// of a process that calls RunHelper, where a keychain is known to block forever.
func New(helper []string) Ring {
	if runtime.GOOS != "linux" {
		helper = nil
	}
	return Ring{helper, serve}
}

// Of returns a keychain of the caller's own. Tests have one in memory.
func Of(serve func(Request) Reply) Ring { return Ring{serve: serve} }

// Call asks the keychain one thing. It returns within timeout even if the
// keychain hangs.
func (g Ring) Call(ctx context.Context, timeout time.Duration, req Request) Answer {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if g.helper == nil {
		done := make(chan Reply, 1)
		go func() { done <- g.serve(req) }()
		select {
		case r := <-done:
			return r.answer()
		case <-ctx.Done():
			return Answer{Status: Slow}
		}
	}
	r, err := g.callChild(ctx, req)
	switch {
	case ctx.Err() != nil:
		return Answer{Status: Slow}
	case err != nil:
		return Answer{Status: Unavailable, Words: err.Error()}
	}
	return r.answer()
}

func (r Reply) answer() Answer {
	return Answer{Status: r.Status, Words: r.Words, Key: endpoint.NewSecret(r.Key)}
}

// callChild runs one request in a child process. The child lives as long as
// its standard input is open, so it cannot outlive us.
func (g Ring) callChild(ctx context.Context, req Request) (r Reply, err error) {
	env, ok := childEnv(os.Getenv)
	if !ok {
		return Reply{Status: Unavailable}, nil
	}
	cmd := exec.CommandContext(ctx, g.helper[0], g.helper[1:]...)
	cmd.Env = env
	cmd.WaitDelay = time.Second
	ownGroup(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return r, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return r, err
	}
	if err := cmd.Start(); err != nil {
		return r, err
	}
	err = json.NewEncoder(stdin).Encode(req)
	if err == nil {
		err = json.NewDecoder(io.LimitReader(stdout, 64<<10)).Decode(&r)
	}
	stdin.Close()
	if waited := cmd.Wait(); err != nil {
		err = fmt.Errorf("the keychain helper: %w", errors.Join(err, waited))
	}
	return r, err
}

// RunHelper is the child process: it reads one request from stdin, asks the
// keychain, and writes one answer to stdout. It returns early when stdin ends,
// which means that the parent is gone; the process must then end.
func RunHelper(stdin io.Reader, stdout io.Writer) error {
	var req Request
	if err := json.NewDecoder(stdin).Decode(&req); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	gone := make(chan struct{})
	go func() {
		io.Copy(io.Discard, stdin)
		close(gone)
	}()
	done := make(chan Reply, 1)
	go func() { done <- serve(req) }()
	select {
	case r := <-done:
		return json.NewEncoder(stdout).Encode(r)
	case <-gone:
		return errors.New("the program that asked is gone")
	}
}

// serve talks to the keychain itself.
func serve(req Request) Reply {
	s := probe()
	if s == Unavailable || s == NotSetUp || req.Op == Probe || req.Op == Look && s != Unlocked {
		return Reply{Status: s}
	}
	switch req.Op {
	case Get, Look:
		return getItem(req.Account)
	case Set:
		if r := getItem(req.Account); r.Status != Missing {
			return r
		}
		if err := gokeyring.Set(Service, req.Account, req.Key); err != nil {
			return refused(err)
		}
		// A prompt that was dismissed is no error to Set.
		r := getItem(req.Account)
		if r.Status == Missing {
			return refused(errors.New("the item was not stored"))
		}
		return r
	case Delete:
		if err := gokeyring.Delete(Service, req.Account); err != nil && !errors.Is(err, gokeyring.ErrNotFound) {
			return refused(err)
		}
		return Reply{Status: Missing}
	}
	return Reply{Status: Unavailable, Words: "unknown operation"}
}

func getItem(account string) Reply {
	key, err := gokeyring.Get(Service, account)
	switch {
	case err == nil:
		return Reply{Status: Found, Key: key}
	case errors.Is(err, gokeyring.ErrNotFound):
		return Reply{Status: Missing}
	}
	return refused(err)
}

// refused tells a keychain that stayed locked from one that has the item and
// does not give it: go-keyring answers both alike.
func refused(err error) Reply {
	s := probe()
	if s == Unlocked {
		s = Refused
	}
	return Reply{Status: s, Words: err.Error()}
}
