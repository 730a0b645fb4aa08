package web

import "github.com/key2oauth/key2oauth/shim/api"

// A Banner is something that the owner should look at. Its button is a link to
// Href, or a form that posts form_token to Do, with kind and id of what it is
// about.
type Banner struct {
	Kind, Level string // as api.Concern has them
	Words, Next string
	Button      string // "" if there is nothing to press
	Href, Do    string
	Damage, ID  string // kind and id, for the form
	Token       string
}

// Banners are the banners for concerns, in their order.
func Banners(all []api.Concern, token func(action string) string) []Banner {
	var out []Banner
	for _, c := range all {
		b := Banner{Kind: c.Kind, Level: c.Level, Words: c.Words, Next: c.Next, Button: c.Button, Href: c.Path, Do: c.Do, Damage: c.Damage, ID: c.ID}
		if b.Do != "" {
			b.Token = token(b.Do)
		}
		out = append(out, b)
	}
	return out
}

// Class is the look of the level.
func (b Banner) Class() string {
	switch b.Level {
	case api.LevelError:
		return "err"
	case api.LevelWarn:
		return ""
	}
	return "info"
}

// Dot is the color of the level.
func (b Banner) Dot() string {
	switch b.Level {
	case api.LevelError:
		return "err"
	case api.LevelWarn:
		return "warn"
	}
	return ""
}
