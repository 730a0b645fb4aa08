package web

// Steps are the first steps of a new owner, once there is a server: connect an
// app, and approve it. /steps/hide hides them, and /steps/login turns on start at
// login.
type Steps struct {
	Slug, Server string // the newest server without an app
	Asks         bool   // an app waits for the owner's answer
	Connected    bool
	App          string // the first one that is connected
	OfferLogin   bool   // login could start the program, and does not
}

// Step is the number of the step that is next, or 4 after the last.
func (s Steps) Step() int {
	switch {
	case s.Connected:
		return 4
	case s.Asks:
		return 3
	}
	return 2
}
