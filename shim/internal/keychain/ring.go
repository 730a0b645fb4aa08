package keychain

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

// ringService is the service of all our items in the keychain. Which of them is
// whose, their accounts tell.
const ringService = "key2oauth"

// A ringStatus is what the keychain answers, to a look or to a question.
type ringStatus string

const (
	ringUnlocked    ringStatus = "unlocked"
	ringLocked      ringStatus = "locked"
	ringNotSetUp    ringStatus = "not_set_up"  // there is a service but no keyring in it
	ringUnavailable ringStatus = "unavailable" // there is no service
	ringSlow        ringStatus = "slow"        // no answer in time

	ringFound   ringStatus = "found"
	ringMissing ringStatus = "missing"
	ringRefused ringStatus = "refused" // unlocked, and yet the item was not given
)

// A ringOp is what the keychain is asked to do.
type ringOp string

const (
	opProbe  ringOp = "probe"  // look only: it never raises a prompt
	opGet    ringOp = "get"    // may raise a prompt
	opLook   ringOp = "look"   // get, but only while the keychain is unlocked
	opSet    ringOp = "set"    // stores unless there is one, answers with the one that is there
	opDelete ringOp = "delete" // answers missing
)

// A ringRequest and a ringReply are what goes over the pipes of the child.
// Both hold the master key as it is, so neither is ever logged.
type ringRequest struct {
	Op      ringOp `json:"op"`
	Account string `json:"account,omitempty"` // of the item; "" only to probe
	Key     string `json:"key,omitempty"`
}

type ringReply struct {
	Status ringStatus `json:"status"`
	Key    string     `json:"key,omitempty"`
	Words  string     `json:"words,omitempty"`
}

// A ringAnswer is a reply that may be logged.
type ringAnswer struct {
	Status ringStatus
	Words  string
	key    endpoint.Secret
}

// A ring talks to the keychain of the operating system, in a child process if
// helper is set.
type ring struct {
	helper []string
	serve  func(ringRequest) ringReply // in this process; tests have a keychain of their own
}

// newRing uses helper where a keychain is known to block forever.
func newRing(helper []string) ring {
	if runtime.GOOS != "linux" {
		helper = nil
	}
	return ring{helper, serveRing}
}

// call asks the keychain one thing. It returns within timeout even if the
// keychain hangs.
func (g ring) call(ctx context.Context, timeout time.Duration, req ringRequest) ringAnswer {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if g.helper == nil {
		done := make(chan ringReply, 1)
		go func() { done <- g.serve(req) }()
		select {
		case r := <-done:
			return r.answer()
		case <-ctx.Done():
			return ringAnswer{Status: ringSlow}
		}
	}
	r, err := g.callChild(ctx, req)
	switch {
	case ctx.Err() != nil:
		return ringAnswer{Status: ringSlow}
	case err != nil:
		return ringAnswer{Status: ringUnavailable, Words: err.Error()}
	}
	return r.answer()
}

func (r ringReply) answer() ringAnswer {
	return ringAnswer{Status: r.Status, Words: r.Words, key: endpoint.NewSecret(r.Key)}
}

// callChild runs one request in a child process. The child lives as long as
// its standard input is open, so it cannot outlive us.
func (g ring) callChild(ctx context.Context, req ringRequest) (r ringReply, err error) {
	env, ok := childEnv(os.Getenv)
	if !ok {
		return ringReply{Status: ringUnavailable}, nil
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
	var req ringRequest
	if err := json.NewDecoder(stdin).Decode(&req); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	gone := make(chan struct{})
	go func() {
		io.Copy(io.Discard, stdin)
		close(gone)
	}()
	done := make(chan ringReply, 1)
	go func() { done <- serveRing(req) }()
	select {
	case r := <-done:
		return json.NewEncoder(stdout).Encode(r)
	case <-gone:
		return errors.New("the program that asked is gone")
	}
}

// serveRing talks to the keychain itself.
func serveRing(req ringRequest) ringReply {
	s := probeRing()
	if s == ringUnavailable || s == ringNotSetUp || req.Op == opProbe || req.Op == opLook && s != ringUnlocked {
		return ringReply{Status: s}
	}
	switch req.Op {
	case opGet, opLook:
		return getItem(req.Account)
	case opSet:
		if r := getItem(req.Account); r.Status != ringMissing {
			return r
		}
		if err := gokeyring.Set(ringService, req.Account, req.Key); err != nil {
			return refused(err)
		}
		// A prompt that was dismissed is no error to Set.
		r := getItem(req.Account)
		if r.Status == ringMissing {
			return refused(errors.New("the item was not stored"))
		}
		return r
	case opDelete:
		if err := gokeyring.Delete(ringService, req.Account); err != nil && !errors.Is(err, gokeyring.ErrNotFound) {
			return refused(err)
		}
		return ringReply{Status: ringMissing}
	}
	return ringReply{Status: ringUnavailable, Words: "unknown operation"}
}

func getItem(account string) ringReply {
	key, err := gokeyring.Get(ringService, account)
	switch {
	case err == nil:
		return ringReply{Status: ringFound, Key: key}
	case errors.Is(err, gokeyring.ErrNotFound):
		return ringReply{Status: ringMissing}
	}
	return refused(err)
}

// refused tells a keychain that stayed locked from one that has the item and
// does not give it: go-keyring answers both alike.
func refused(err error) ringReply {
	s := probeRing()
	if s == ringUnlocked {
		s = ringRefused
	}
	return ringReply{Status: s, Words: err.Error()}
}
