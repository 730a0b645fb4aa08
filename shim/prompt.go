package shim

import (
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// A Prompter tells the owner that something waits for him. It must not block,
// and must open nothing by itself: who waits may be a stranger, and asks when
// he likes.
type Prompter interface {
	// Prompt is called when requests begin to wait for the owner, and with a
	// zero Prompt when none waits any more. However many come meanwhile, it is
	// not called for each.
	Prompt(Prompt)
}

// A Prompt is what waits for the owner.
type Prompt struct {
	Waiting      int    // how many requests
	Client       string // name of the first, which it chose itself unless Verified
	Verified     bool
	RedirectHost string // where the answer of the first goes
	// Path is the page that shows it, for Shim.OwnerLink.
	Path string
}

// promptOwner tells the owner of a request that began to wait.
func (s *Shim) promptOwner(id string) {
	time.AfterFunc(oauth.RequestTTL+time.Second, s.promptAgain)
	s.prompting.Lock()
	defer s.prompting.Unlock()
	req, ok := s.requests.Get(id)
	if ok && !s.prompted {
		s.prompted = true
		if s.prompter != nil {
			s.prompter.Prompt(Prompt{
				Waiting: 1, Client: req.Client.Name, Verified: req.Client.Verified,
				RedirectHost: oauth.RedirectHost(req.RedirectURI), Path: "/consent/" + id,
			})
		}
	}
	s.changes.Notify()
}

// promptAgain takes the prompt back once nothing waits.
func (s *Shim) promptAgain() {
	s.prompting.Lock()
	defer s.prompting.Unlock()
	if s.prompted && s.visits.waiting() == 0 {
		s.prompted = false
		if s.prompter != nil {
			s.prompter.Prompt(Prompt{})
		}
	}
	s.changes.Notify()
}
