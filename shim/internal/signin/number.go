package signin

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// A request of another device shows nothing of itself before the owner has typed
// the number from a screen. The number chooses among those that wait, whichever
// of them the page was opened for: a link that someone sent leads to the
// owner's own request too, or to none.

// showNumber asks for the number.
func (s *SignIns) showNumber(w http.ResponseWriter, status int, c *consentView, problem string) {
	web.Render(w, status, web.NumberPage{
		Action: "/consent/" + c.req.ID, FormToken: s.cfg.Owner.FormToken(c.purpose(), c.browser, c.session), Error: problem,
	})
}

// answerNumber answers the form of that page: it leads to the request that shows
// the number. A number that none shows ends all that wait, because there are
// only ninety numbers.
func (s *SignIns) answerNumber(w http.ResponseWriter, r *http.Request, c *consentView) error {
	if r.PostFormValue("action") == "deny" {
		s.denyWaiting()
		web.Render(w, http.StatusOK, web.MessageDeniedElsewhere)
		return nil
	}
	typed := strings.TrimSpace(r.PostFormValue("number"))
	n, err := strconv.Atoi(typed)
	if err != nil || len(typed) != 2 {
		s.showNumber(w, http.StatusUnprocessableEntity, c, web.TextTypeNumber)
		return nil
	}
	id, ok := s.visits.tell(n)
	if !ok {
		for _, id := range s.visits.untold() {
			if req, ok := s.cfg.Requests.Take(id); ok {
				s.note(req, timeline.Number, "wrong")
			}
			s.visits.change(id, func(v *visit) { v.outcome = outcomeNumber })
		}
		s.promptAgain()
		web.Render(w, http.StatusForbidden, web.ErrorPage{Title: web.TextWrongNumberTitle, Words: web.TextWrongNumber, Next: web.TextWrongNumberNext})
		return nil
	}
	http.Redirect(w, r, "/consent/"+id, http.StatusSeeOther)
	return nil
}

// denyWaiting denies all requests whose number was not typed.
func (s *SignIns) denyWaiting() {
	for _, id := range s.visits.untold() {
		req, ok := s.cfg.Requests.Take(id)
		if !ok {
			continue
		}
		s.note(req, timeline.Approved, "denied")
		s.visits.change(id, func(v *visit) {
			a := s.answer(req, *v)
			v.outcome, v.back = outcomeAnswered, clientRedirect{req: req, location: s.cfg.Local().Deny(req), denied: true, link: byHand(req, a, true), public: true}
		})
	}
	s.promptAgain()
}
