package web

// A Trouble is why an answer to the consent page did not go through, as far as
// it needs a heading of its own. The outcome of a key trial is one too; see
// trial.Outcome.
type Trouble string

// The troubles that no trial has.
const (
	TroubleIncomplete Trouble = "incomplete" // the reader has left something out
	TroubleKeyForm    Trouble = "form"       // what was pasted cannot be a key
	TroubleLocked     Trouble = "locked"     // the keychain
	TroubleUnreadable Trouble = "unreadable" // the saved key
	TroubleHeader     Trouble = "header"     // the server wants the key in another one
	TroubleGone       Trouble = "gone"       // the server was removed
	TroubleState      Trouble = "state"      // nothing can be saved or read
)

// heading is what stands above the words of a trouble. A key is called not
// accepted only where the server has said so.
func (x Trouble) heading() string {
	switch x {
	case TroubleIncomplete, TroubleKeyForm:
		return t("form.warning")
	case TroubleLocked:
		return t("trouble.locked")
	case TroubleUnreadable:
		return t("trouble.unreadable")
	case TroubleHeader:
		return t("trouble.header")
	case TroubleGone:
		return t("trouble.gone")
	case TroubleState:
		return t("trouble.state")
	case "rejected":
		return t("trouble.rejected")
	case "keyless":
		return t("trouble.keyless")
	case "unproven":
		return t("trouble.unproven")
	case "barred":
		return t("trouble.barred")
	case "unreachable":
		return t("trouble.unreachable")
	case "busy":
		return t("trouble.busy")
	case "odd":
		return t("trouble.strange")
	case "not_mcp":
		return t("trouble.odd")
	case "redirect":
		return t("trouble.redirect")
	case "refused":
		return t("trouble.elsewhere")
	}
	return t("trouble.unknown")
}

// mild reports whether nothing has failed yet.
func (x Trouble) mild() bool {
	switch x {
	case TroubleIncomplete, TroubleKeyForm, TroubleLocked, "keyless", "unproven", "unreachable", "busy":
		return true
	}
	return false
}
