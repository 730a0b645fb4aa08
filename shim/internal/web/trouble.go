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

// The troubles that are the outcomes of a key trial, as package trial names them.
// Package signin's tests compare the two.
const (
	TroubleRejected    Trouble = "rejected"
	TroubleKeyless     Trouble = "keyless"
	TroubleUnproven    Trouble = "unproven"
	TroubleBarred      Trouble = "barred"
	TroubleUnreachable Trouble = "unreachable"
	TroubleBusy        Trouble = "busy"
	TroubleOdd         Trouble = "odd"
	TroubleNotMCP      Trouble = "not_mcp"
	TroubleRedirect    Trouble = "redirect"
	TroubleRefused     Trouble = "refused"
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
	case TroubleRejected:
		return t("trouble.rejected")
	case TroubleKeyless:
		return t("trouble.keyless")
	case TroubleUnproven:
		return t("trouble.unproven")
	case TroubleBarred:
		return t("trouble.barred")
	case TroubleUnreachable:
		return t("trouble.unreachable")
	case TroubleBusy:
		return t("trouble.busy")
	case TroubleOdd:
		return t("trouble.strange")
	case TroubleNotMCP:
		return t("trouble.odd")
	case TroubleRedirect:
		return t("trouble.redirect")
	case TroubleRefused:
		return t("trouble.elsewhere")
	}
	return t("trouble.unknown")
}

// mild reports whether nothing has failed yet.
func (x Trouble) mild() bool {
	switch x {
	case TroubleIncomplete, TroubleKeyForm, TroubleLocked, TroubleKeyless, TroubleUnproven, TroubleUnreachable, TroubleBusy:
		return true
	}
	return false
}
