package web

import (
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/display"
)

// DamageButton is the label of the button that deletes what is damaged. What was
// replaced works again, so there the message goes.
func DamageButton(kind string) string {
	if kind == api.DamagedReplaced {
		return t("damage.dismiss")
	}
	return t("damage.delete")
}

// NoteWords says what happened to saved data. file was kept aside; it may be "".
func NoteWords(kind, file string) string {
	switch {
	case kind == api.NoteItemLost:
		return t("note.item")
	case kind == api.NoteRepaired:
		return t("note.repaired")
	case file != "":
		return t("note.state.aside", file)
	}
	return t("note.state")
}

// DamagedName is a name out of a damaged record, which may hold anything.
func DamagedName(s string) string {
	const most = 40
	return display.Text(s, most)
}

// DamageWords says what the loss of a record means, and what to do.
func DamageWords(d api.Damage) (words, next string) {
	name := d.Name
	if name == "" && d.Kind == api.DamagedApp {
		name = t("damage.app.noname")
	} else if d.Kind == api.DamagedApp {
		name = t("damage.quoted", name)
	}
	switch d.Kind {
	case api.DamagedServer:
		if name == "" {
			name = d.ID
		}
		return t("damage.server", name), t("damage.server.next")
	case api.DamagedKey:
		if d.Server == "" {
			return t("damage.key.0"), t("damage.key.0.next")
		}
		return t("damage.key", d.Server), t("damage.key.next")
	case api.DamagedSealedKey:
		return t("damage.sealed", d.Server), t("damage.sealed.next")
	case api.DamagedApp:
		if d.Server != "" {
			return t("damage.app.of", name, d.Server), t("damage.app.next")
		}
		return t("damage.app", name), t("damage.app.next")
	case api.DamagedSecret:
		return t("damage.secret", d.Name), t("damage.secret.next")
	case api.DamagedReplaced:
		return replacedWords(d.ID)
	}
	return t("damage.setting", d.Name), t("damage.setting.next")
}

// replacedWords says what the loss of a random value of our own means.
func replacedWords(id string) (words, next string) {
	switch id {
	case api.ValueClientIDKey:
		return t("damage.replaced.apps"), t("damage.replaced.apps.next")
	case api.ValueFormKey:
		return t("damage.replaced.forms"), t("damage.replaced.next")
	}
	return t("damage.replaced.cookie"), t("damage.replaced.next")
}
