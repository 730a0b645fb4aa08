package web

import (
	"fmt"
	"net/http"
)

// Messages that handlers put into pages and answers. They stand here, and not
// where they are used, so that all words for people are in one package.
const (
	TextNoPage             = "There is no page at this address."
	TextNeedOwner          = "This page shows what only the person who runs Key2OAuth may see, and this browser has not proven to be theirs yet."
	TextTicketUsed         = "This link was opened twice, so somebody else may have seen it. What the first opening unlocked was locked again. For a new link, click the Key2OAuth icon and then Open dashboard, or run `key2oauth open` in a terminal."
	TextTicketOld          = "This link works once and for 30 seconds, and that time is over. For a new one, click the Key2OAuth icon and then Open dashboard, or run `key2oauth open` in a terminal."
	TextMCPOnlyTitle       = "This address is for apps"
	TextMCPOnly            = "A browser has nothing to do here. Copy the address from the address bar into your app, as the address of a remote MCP server."
	TextMCPOnlyNext        = "In Claude: Settings, Connectors, Add custom connector."
	TextPausedCall         = "Key2OAuth is paused on its owner's computer. Calls go through again when it is resumed."
	TextInternal           = "Something went wrong inside Key2OAuth. Its log says more."
	TextDiskTrouble        = "The data folder cannot be written: the disk may be full. Nothing was changed; make room and try again."
	TextDiskFull           = "The disk that holds Key2OAuth's data folder is full, so nothing new can be saved. Apps that are connected go on; new ones cannot be approved."
	TextDiskFullNext       = "Make room on it. Key2OAuth goes on by itself."
	TextDiskFailing        = "Key2OAuth's data folder cannot be written, so nothing new can be saved. Apps that are connected go on; new ones cannot be approved."
	TextDiskFailingNext    = "Look whether the disk is there and may be written. Key2OAuth goes on by itself."
	TextRequestGone        = "This sign-in request has expired, or it was answered already."
	TextStartAgain         = "Go back to the program that you were connecting, and press Connect again."
	TextNoEndpoints        = "There is no server to connect to yet. Add one on Key2OAuth's home page first, then press Connect in your app again."
	TextPasteKey           = "Paste the API key, then press Approve."
	TextChooseKey          = "Choose a saved key, or paste a new one."
	TextCannotOpen         = "This saved key cannot be opened with the present keychain. Paste the key again."
	TextChooseServer       = "Choose the server that this app may use."
	TextUnverified         = "The key could not be checked, and only the owner can go on without. Click the Key2OAuth icon and then Open dashboard, or run `key2oauth open` in a terminal. Then come back to this page and reload it."
	TextSayYouKnow         = "Say that you know this website, or press Deny."
	TextOwnerForNew        = "The answer to this request goes to a website that was never approved here. Only the owner can allow that. Prove that it is you, then reload this page."
	TextTypeNumber         = "Type the two digits that the other screen shows."
	TextOwnerReview        = "Somebody asked for this on another device, and only the owner can let it in. Prove that it is you, then reload this page."
	TextOwnerPicks         = "The app did not say which of your servers it wants, and only you may see the list. Prove that it is you, then reload this page."
	TextOriginGone         = "It came to an address that leads here no more."
	TextWrongNumberTitle   = "That was not the number"
	TextWrongNumber        = "The request was ended, so that nobody can guess the number. Nobody got access."
	TextWrongNumberNext    = "If it was you: press Connect on the other device again, and type the number that it shows then. If it was not, there is nothing to do."
	TextTunnelOff          = "Only programs on this computer can connect."
	TextTunnelTrouble      = "Apps on the internet cannot connect just now."
	TextStranded           = "Your public address has changed, and some apps know only the old one."
	TextTunnelPaused       = "Key2OAuth is paused, so the way in from the internet is closed."
	TextTunnelLocked       = "The ngrok authtoken is in your keychain, which is locked."
	TextNoAuthtoken        = "There is no ngrok authtoken yet."
	TextGetAuthtoken       = "Copy the authtoken from your ngrok dashboard and paste it here."
	TextNotAuthtoken       = "This is no ngrok authtoken: one is a single word of letters, digits and underscores. Copy it from your ngrok dashboard."
	TextAPIKeyNotAuthtoken = "This is an ngrok API key, which is something else. Copy the authtoken from your ngrok dashboard, under \"Your Authtoken\"."
	TextUsageOver          = "This month's limit of your ngrok plan is used up, so ngrok may turn clients away until the next month. Clients on this computer are not affected."
	TextUsageRequests      = "%s of the %s requests that your ngrok plan has each month are used. Clients on this computer use none."
	TextUsageBytes         = "%s of the %s MB that your ngrok plan has each month are used. Clients on this computer use none."
	LinkAuthtoken          = "https://dashboard.ngrok.com/get-started/your-authtoken"
	TextLabelTaken         = "Another key of this server has that name already."
	TextLabelIsKey         = "That looks like a part of the API key itself. Choose a name that anybody may see."
	TextImportRace         = "A server was added meanwhile at an address that is in the file. Nothing was changed; import the file again."
	TextQueryLeftOut       = "The address of this server had a part after a question mark, which is secret and so not in the file. Edit the server and add it."
	TextFileTorn           = "The file did not arrive whole. Go back and try again."
	TextTypeDelete         = "Nothing was deleted. To do it, type the word as it stands here."
	TextNotAllDeleted      = "Some files could not be deleted; the log says which. Delete the data folder by hand."
	TextDeletedTitle       = "Everything is deleted"
	TextDeleted            = "Key2OAuth has stopped. Started again, it begins from nothing. You can close this window."
	TextLifetimeBounds     = "An access token can be good for 1 hour to 30 days."
	TextNoSuchLogLevel     = "The log level is one of debug, info, warn, error."
	TextLogLevelFixed      = "The log level of this program cannot be changed while it runs."
	TextNoLogin            = "This program cannot be started at login from here."
	TextLoginTrouble       = "Start at login could not be changed. The settings of your desktop may do it."
	TextSignedOut          = "This browser does not show Key2OAuth's pages any more."
	TextFilledIn           = "Filled in from what you pasted. Look it over, then press Add server."
	TextChooseReplaced     = "Choose which key to replace."
	TextKeySaved           = "The key is saved. %s"
	TextHeaderFound        = "The server wanted the key as %s, so that is what is used."
	TextOtherHeader        = "The server accepts this key as %s, but here it is sent as %s. Change the header on Key2OAuth's home page, then try again here."
	TextHeaderWanted       = "The server accepts this key as %s, but here it is sent as %s."
	TextKeysDropped        = "The server's address changed, so the saved keys were dropped. Paste the key for the new address."
	TextKeyAlone           = "(the key alone)"
	TextOwnWindow          = "This page can only be opened in a browser window of its own."
	TextFormOld            = "This form is out of date, or was sent from another page. Go back, reload the page and try again."
	TextFormTorn           = "The form did not arrive whole. Go back and try again."
	TextForeignForm        = "This request came from another page, so it was refused. Open Key2OAuth's own page and try again there."
	TextForeignOrigin      = "Pages of other sites may not use this address."
	TextOtherUser          = "This page is only for programs of the user who runs Key2OAuth. Open it in that user's own browser."
	TextOpenAt             = "Open this page at %s instead."
	TextWrongHost          = "This is not the address that this program serves."
	TextNothingHere        = "There is nothing at this address."
	TitleBadRequest        = "This sign-in request cannot be used"
	TitleRequestOver       = "This request is over"
	TitleNoEndpoints       = "Nothing to connect to"
	TextServerGone         = "The server that it was about has been removed."
	TextServerRemoved      = "This server has been removed."
	TitleDelete            = "Delete %s?"
	TextNoWayBack          = "This cannot be undone."
	TextAddressGone        = "Its address stops working for good. Adding the server again makes another one."
	ButtonDelete           = "Delete"
	TitleRevoke            = "Revoke %s?"
	TextRevoke             = "It will not be able to use %s any more."
	TextCallsStop          = "Its calls stop at once."
	TextConnectAnew        = "To come back it must be connected again, which needs your approval."
	TextGrantGone          = "This connection has ended already."
	ButtonRevoke           = "Revoke"
)

// DoneNotices say what a form has done, on the page that it leads to.
var DoneNotices = map[string]Notice{
	"added":   {Kind: "ok", Text: "Added. Copy its address into your app, and press Connect there."},
	"saved":   {Kind: "ok", Text: "Saved."},
	"key":     {Kind: "ok", Text: "The key works and is saved. Connected apps use it from now on."},
	"deleted": {Kind: "ok", Text: "Deleted, with its keys and connections."},
	"import":  {Kind: "ok", Text: "Added. Paste a key for each, here or when an app connects."},
	"keygone": {Kind: "ok", Text: "The key is deleted."},
	"revoked": {Kind: "ok", Text: "Revoked. That app is signed out."},
	"paused":  {Kind: "warn", Text: "Paused. No call goes through until you resume."},
	"resumed": {Kind: "ok", Text: "Resumed. Calls go through again."},
	"kept":    {Kind: "ok", Text: "Kept. The keychain holds the encryption key from now on."},
	"login":   {Kind: "ok", Text: "Key2OAuth starts from now on when you log in to this computer."},
	"copy":    {Kind: "info", Text: "This desktop has no clipboard that Key2OAuth can use (on Linux it needs xclip or wl-clipboard). Copy the address here."},
	"notray":  {Kind: "info", Text: "This desktop shows no icon of Key2OAuth (on GNOME, the extension AppIndicator does). To come back to this page, start Key2OAuth once more."},
	"unlock":  {Kind: "info", Text: "Your desktop was asked to unlock the keychain."},
}

// KeysDeleted says that so many saved keys go.
func KeysDeleted(n int) string {
	if n == 1 {
		return "1 saved key is deleted."
	}
	return fmt.Sprintf("%d saved keys are deleted.", n)
}

// AppsSignedOut says that so many connected apps go.
func AppsSignedOut(n int) string {
	if n == 1 {
		return "1 connected app is signed out."
	}
	return fmt.Sprintf("%d connected apps are signed out.", n)
}

// What a report is made of where it is plain text.
var (
	ReportGroups = map[string]string{
		"computer": "This computer", "local": "Apps on this computer", "public": "Apps on the internet", "servers": "Your servers",
	}
	ReportWhose = map[string]string{
		"yours": "for you to do", "ngrok": "ngrok's", "upstream": "the server's", "client": "the app's", "network": "the network's", "ours": "a fault in Key2OAuth",
	}
	ReportMarks = map[string]string{"ok": "ok", "warn": "note", "failed": "FAILED", "skipped": "-"}
	ReportNext  = "What to do: "
)

// How a sign-in can stand on a public origin.
var (
	MessageElsewhere = PublicMessage{Good: true, Status: http.StatusOK, Title: "Finished in the other window",
		Words: "This request was answered on the computer that runs Key2OAuth. You can close this window."}
	MessageWrongNumber = PublicMessage{Status: http.StatusGone, Title: "The number did not match",
		Words: "Another number was typed on the computer that runs Key2OAuth, so the request was ended.", Next: TextStartAgain}
	MessageOver = PublicMessage{Status: http.StatusGone, Title: "This request is over",
		Words: "It has expired, or it was answered already.", Next: TextStartAgain}
	MessageOtherBrowser = PublicMessage{Status: http.StatusForbidden, Title: "This page belongs to another browser",
		Words: "Only the browser in which the sign-in began can go on with it. A private window counts as another browser, and so does one that keeps no cookies.", Next: TextStartAgain}
	MessageTooMany = PublicMessage{Status: http.StatusTooManyRequests, Title: "Too many requests",
		Words: "Too many requests wait for the owner, or came from your network.", Next: "Wait a minute, then go back to the program that you were connecting and press Connect again."}
)

// What the owner sees after he answered a request of another device.
var (
	MessageApprovedElsewhere = Done{Title: "Approved", Words: "The other device goes on by itself now. You can close this window."}
	MessageDeniedElsewhere   = Done{Title: "Denied", Words: "The app on the other device is told so, and gets no access. You can close this window."}
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
