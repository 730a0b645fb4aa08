package web

import "github.com/key2oauth/key2oauth/shim/api"

// A Banner is the one thing that the owner should look at first, on top of every
// page. Its button is a link to Href, or a form that posts form_token to Do, with
// kind and id of what it is about.
type Banner struct {
	Kind, Level string // as api.Concern has them
	Words, Next string
	Button      string // "" if there is nothing to press
	Href, Do    string
	Damage, ID  string // kind and id, for the form
	More        int    // how many further concerns there are
}

// BannerOf is the banner for concerns, the most urgent first; nil if there are
// none.
func BannerOf(all []api.Concern) *Banner {
	if len(all) == 0 {
		return nil
	}
	c := all[0]
	return &Banner{
		Kind: c.Kind, Level: c.Level, Words: c.Words, Next: c.Next, Button: c.Button, Href: c.Path, Do: c.Do, Damage: c.Damage, ID: c.ID, More: len(all) - 1,
	}
}
