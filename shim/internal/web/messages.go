package web

import "net/http"

// Messages that handlers put into pages and answers. They stand here, and not
// where they are used, so that all words for people are in one package.
const (
	TextNoPage       = "There is no page at this address."
	TextNeedOwner    = "This page shows what only the person who runs Key2OAuth may see, and this browser has not proven to be theirs yet."
	TextTicketUsed   = "This link was opened twice, so somebody else may have seen it. What the first opening unlocked was locked again. Run `key2oauth open` for a new link."
	TextTicketOld    = "This link works once and for 30 seconds, and that time is over. Run `key2oauth open` for a new one."
	TextMCPOnlyTitle = "This address is for apps"
	TextMCPOnly      = "A browser has nothing to do here. Copy the address from the address bar into your app, as the address of a remote MCP server."
	TextMCPOnlyNext  = "In Claude: Settings, Connectors, Add custom connector."
	TextPausedCall   = "Key2OAuth is paused on its owner's computer. Calls go through again when it is resumed."
	TextInternal     = "Something went wrong inside Key2OAuth. Its log says more."
	TextDiskTrouble  = "The data folder cannot be written: the disk may be full. Nothing was changed; make room and try again."
	TextRequestGone  = "This sign-in request has expired, or it was answered already."
	TextStartAgain   = "Go back to the program that you were connecting, and press Connect again."
	TextNoEndpoints  = "There is no server to connect to yet. Add one on Key2OAuth's home page first, then press Connect in your app again."
	TextPasteKey     = "Paste the API key, then press Approve."
	TextChooseKey    = "Choose a saved key, or paste a new one."
	TextCannotOpen   = "This saved key cannot be opened with the present keychain. Paste the key again."
	TextChooseServer = "Choose the server that this app may use."
	TextUnverified   = "The key could not be checked, and only the owner can go on without. Run `key2oauth open` in a terminal, open the link in this browser, then come back to this page and reload it."
	TextSignedOut    = "This browser does not show Key2OAuth's pages any more."
)

// TitleFor is the heading of an error page.
func TitleFor(status int) string {
	switch status {
	case http.StatusNotFound, http.StatusGone:
		return "Nothing here"
	case http.StatusForbidden, http.StatusUnauthorized:
		return "Not allowed"
	case http.StatusMisdirectedRequest:
		return "Wrong address"
	case http.StatusServiceUnavailable:
		return "Not right now"
	case http.StatusRequestEntityTooLarge:
		return "Too long"
	}
	if status >= 500 {
		return "Something went wrong"
	}
	return "This did not work"
}
