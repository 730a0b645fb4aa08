package signin

import (
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// promptOwner tells the owner that a request began to wait.
func (s *SignIns) promptOwner(id string) {
	s.prompting.Lock()
	defer s.prompting.Unlock()
	if s.later == nil {
		s.later = time.AfterFunc(oauth.RequestTTL, s.promptAgain)
	}
	s.later.Reset(oauth.RequestTTL + time.Second) // by then all are over
	if s.isOpen(id) && !s.prompted {
		s.prompted = true
		if s.cfg.Prompter != nil {
			s.cfg.Prompter.Prompt(api.Prompt{Waiting: 1, Path: "/consent/" + id})
		}
	}
	s.cfg.Changes.Notify()
}

// tellViewed notes that a browser shows the page of a request. If it is not the
// owner's, the owner is told at once, and gets to the request by one click. The
// person at the other browser may be the owner all the same.
func (s *SignIns) tellViewed(c *consentView) {
	if s.cfg.Requests.MarkViewed(c.req.ID, c.owner()) && !c.owner() {
		time.AfterFunc(oauth.RequestTTL+time.Second, s.cfg.Changes.Notify)
	}
	s.cfg.Changes.Notify()
}

// promptAgain takes the prompt back once no request waits.
func (s *SignIns) promptAgain() {
	s.prompting.Lock()
	defer s.prompting.Unlock()
	if s.prompted && s.visits.waiting() == 0 {
		s.prompted = false
		if s.cfg.Prompter != nil {
			s.cfg.Prompter.Prompt(api.Prompt{})
		}
	}
	s.cfg.Changes.Notify()
}
