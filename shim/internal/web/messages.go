package web

import (
	"fmt"
	"net/http"
)

// Messages that handlers put into pages and answers. They stand here, and not
// where they are used, because the words of all pages belong together. The rooms
// on the way of a call have catalogues of their own.
const (
	TextNoPage             = "There is no page at this address."
	TextWrongName          = "Key2OAuth doesn't answer under this name. Check the address."
	TextLater              = "Key2OAuth can't answer right now. Wait a minute, then try again."
	TextNeedOwner          = "This browser isn't signed in. Open Key2OAuth from its icon, or run: key2oauth open"
	TextTicketUsed         = "This link was already used, so we signed that browser out."
	TextTicketOld          = "This link has expired. It works once, for 30 seconds."
	TextDiskTrouble        = "Key2OAuth can't write to its data folder. The disk may be full. Nothing was changed. Free some space, then try again."
	TextDiskUnsure         = "The change was made, but the disk reported an error at the end, so it may be lost if the computer loses power. Check the disk that holds Key2OAuth's data folder."
	TextBackupPath         = "Name the file by its full path."
	TextBackupExists       = "There is a file of this name already. Add --yes to replace it."
	TextBackupFailed       = "The backup can't be written: %v."
	TextPasteToRepair      = "Paste the key again. That repairs it, and the apps that use it stay connected."
	TextNotDamaged         = "That is not damaged, or was deleted already."
	TextDiskFull           = "The disk that holds Key2OAuth's data folder is full, so nothing new can be saved. Connected apps keep working until their access token ends; new ones can't be approved."
	TextDiskFullNext       = "Free some space. Key2OAuth recovers automatically."
	TextDiskFailing        = "Key2OAuth can't write to its data folder, so nothing new can be saved. Connected apps keep working until their access token ends; new ones can't be approved."
	TextDiskFailingNext    = "Check that the disk is connected and writable. Key2OAuth recovers automatically."
	TextRequestGone        = "This sign-in request has expired, was already answered, or newer ones took its place."
	TextStartAgain         = "Go back to the app you were connecting, and press Connect again."
	TextNoEndpoints        = "There is no server to connect to yet. Add one in Key2OAuth first, then press Connect in your app again."
	TextPasteKey           = "Paste the API key, then press Approve."
	TextChooseKey          = "Choose a saved key, or paste a new one."
	TextCannotOpen         = "This saved key can't be decrypted with the current keychain. Paste the key again."
	TextChooseServer       = "Choose the server this app may use."
	TextUnverified         = "The key could not be checked, and only the owner can continue without that. Open Key2OAuth from its icon, or run: key2oauth open. Then come back to this page and reload it."
	TextSayYouKnow         = "Confirm that you know this website, or press Deny."
	TextSayYouPressed      = "Confirm that you pressed Connect on the other device yourself, or press Deny."
	TextOwnerForNew        = "This sign-in returns to a website that was never approved here, so only the owner can allow it."
	TextTypeNumber         = "Type the two digits the other screen shows."
	TextOwnerReview        = "This sign-in came from another device, so only the owner can approve it."
	TextOwnerPicks         = "The app did not say which of your servers it wants, and only the owner may see the list."
	TextOriginGone         = "It came to an address that is no longer yours."
	TextWrongNumberTitle   = "Wrong number"
	TextWrongNumber        = "All waiting requests were ended so that a number can't be guessed. Nobody got access."
	TextWrongNumberNext    = "If that was you, press Connect on the other device again and type the new number. If not, you don't have to do anything."
	TextTunnelOnline       = "Apps on the internet can reach this computer at %s."
	TextTestPassed         = "The public address leads to this computer."
	TextTestImpossible     = "The public address could not be tested: %s"
	TextSendersMixed       = "Your tunnel doesn't say who sends a request. So all apps on the internet share one limit, and a stranger can slow down their sign-ins. Choose the program that runs your tunnel on the Internet tab, or make it add X-Forwarded-For, then test it again."
	TextTunnelTrouble      = "Apps on the internet can't connect right now."
	TextStranded           = "Your public address has changed, and some apps still use the old one."
	TextTunnelLocked       = "The ngrok authtoken is in your keychain, which is locked."
	TextNoAuthtoken        = "There is no ngrok authtoken yet."
	TextGetAuthtoken       = "Copy the authtoken from your ngrok dashboard and paste it here."
	TextNotAuthtoken       = "This is not an ngrok authtoken, which is a single word of letters, digits and underscores. Copy it from your ngrok dashboard."
	TextAPIKeyNotAuthtoken = "This is an ngrok API key, not an authtoken. Copy the authtoken from your ngrok dashboard, under \"Your Authtoken\"."
	TextUsageOver          = "You have used up your ngrok plan for this month, so ngrok may turn apps away until next month. Apps on this computer are not affected."
	TextUsageRequests      = "You have used %s of the %s requests in your monthly ngrok plan. Apps on this computer use none."
	TextUsageBytes         = "You have used %s of the %s MB in your monthly ngrok plan. Apps on this computer use none."
	LinkAuthtoken          = "https://dashboard.ngrok.com/get-started/your-authtoken"
	TextLabelTaken         = "Another key of this server has that name already."
	TextLabelIsKey         = "That looks like part of the API key itself. Choose a name that anyone may see."
	TextImportRace         = "A server in this file was just added in another way. Nothing was changed. Import the file again."
	TextMoveAgain          = "Something changed since this file was opened. Nothing was moved in. Open the file again."
	TextMoveConfirm        = "Confirm that it's you first."
	TextMoveDiffer         = "The two passphrases differ."
	TextNoFile             = "Choose a file."
	TextQueryLeftOut       = "Part of this server's address was secret and is not in the file. Edit the server to add it."
	TextFileTorn           = "The file did not arrive completely. Go back and try again."
	TextTypeDelete         = "Nothing was deleted. To delete everything, type the word exactly as shown."
	TextNotAllDeleted      = "Some files could not be deleted; see the log. Delete the data folder by hand."
	TextDeletedTitle       = "Everything is deleted"
	TextDeleted            = "Key2OAuth has quit. Next time it starts fresh. You can close this window."
	TextQuitTitle          = "Key2OAuth has quit"
	TextQuit               = "Start it again from your applications. You can close this window."
	TextLifetimeBounds     = "An access token can be valid for 1 hour to 30 days."
	TextNoSuchLogLevel     = "The log level must be debug, info, warn or error."
	TextNoProxy            = "No proxy is set up on this computer: Key2OAuth looks for it in HTTPS_PROXY."
	TextLogLevelFixed      = "The log level can't be changed while the program runs."
	TextNoLogin            = "Start at login can't be changed here."
	TextLoginTrouble       = "Start at login could not be changed. Try your desktop's settings."
	TextChooseReplaced     = "Choose which key to replace."
	TextKeySaved           = "The key is saved. %s"
	TextHeaderFound        = "The server wants the key as %s, so Key2OAuth uses that."
	TextOtherHeader        = "The server accepts this key as %s, but Key2OAuth sends it as %s. Edit the header on the Servers page, then try again here."
	TextHeaderWanted       = "The server accepts this key as %s, but Key2OAuth sends it as %s."
	TextKeysDropped        = "The server's address changed, so its saved keys were deleted. Paste the key for the new address."
	TextKeyAlone           = "(the key alone)"
	TextOwnUpstream        = "Key2OAuth itself listens there. Enter the address of the MCP server."
	TextOwnWindow          = "Open this page in a browser window of its own."
	TextFormOld            = "This form is out of date or was sent from another page. Go back, reload the page and try again."
	TextFormLarge          = "This is too large to come from Key2OAuth. Nothing was changed."
	TextFormTorn           = "The form did not arrive completely. Go back and try again."
	TextForeignForm        = "This request came from another page and was rejected. Open Key2OAuth's own page and try again."
	TextOtherUser          = "Only the user who runs Key2OAuth can open this page. Open it in that user's browser."
	TextOpenAt             = "Open this page at %s instead."
	TitleBadRequest        = "This sign-in request cannot be used"
	TitleRequestOver       = "This request is over"
	TitleNoEndpoints       = "Nothing to connect to"
	TextNoServer           = "There is no such server. It may have been deleted."
	TextSampleName         = "Sample"
	TextAddressTaken       = "Another server has this address already. Delete that one first."
	TextNoKey              = "This server has no such key. It may have been deleted."
	TextSeveralKeys        = "This server has several keys. Choose the one to replace."
	TextNoGrant            = "There is no such connected app. It may have been disconnected already."
	TextServerGone         = "The server has been removed."
	TextServerRemoved      = "This server has been removed."
	TitleDelete            = "Delete %s?"
	TextDeleteWords        = "You can restore it for 30 days, under Deleted servers. Apps have to connect again."
	TextAddressGone        = "Its address stops working at once. If you restore the server, it gets the same address again."
	ButtonDelete           = "Delete"
	TitleRevoke            = "Disconnect %s?"
	TextRevoke             = "It will no longer be able to use %s."
	TextCallsStop          = "Its calls stop immediately."
	TextConnectAnew        = "To use it again, connect it again and approve it."
	TextGrantGone          = "This app is already disconnected."
	ButtonRevoke           = "Disconnect"
)

// DoneNotices say what a form has done, on the page that it leads to.
var DoneNotices = map[string]Notice{
	"added":   {Kind: NoticeOK, Text: "Added. Now connect an app to it."},
	"saved":   {Kind: NoticeOK, Text: "Saved."},
	"key":     {Kind: NoticeOK, Text: "The key works and is saved. Connected apps use it from now on."},
	"deleted": {Kind: NoticeOK, Text: "Deleted. You can restore it for 30 days, under Deleted servers."},
	"import":  {Kind: NoticeOK, Text: "Added. Paste a key for each, here or when an app connects."},
	"moved":   {Kind: NoticeOK, Text: "Moved in. Apps from the other computer can go on here."},
	"healed":  {Kind: NoticeOK, Text: "The damaged entry is deleted."},
	"keygone": {Kind: NoticeOK, Text: "The key is deleted."},
	"revoked": {Kind: NoticeOK, Text: "Disconnected."},
	"paused":  {Kind: NoticeWarn, Text: "Paused. Apps get no answer until you resume."},
	"resumed": {Kind: NoticeOK, Text: "Resumed. Apps work again."},
	"file":    {Kind: NoticeOK, Text: "Saved. The encryption key is now in a file that only your account can read."},
	"restore": {Kind: NoticeOK, Text: "Restored. Apps have to connect again."},
	"forgot":  {Kind: NoticeOK, Text: "Deleted for good."},
	"sample":  {Kind: NoticeOK, Text: "The sample is removed."},
	"kept":    {Kind: NoticeOK, Text: "Saved. The encryption key is now in the keychain."},
	"login":   {Kind: NoticeOK, Text: "Key2OAuth now starts when you log in to this computer."},
	"copy":    {Kind: NoticeInfo, Text: "Key2OAuth can't use this desktop's clipboard (on Linux it needs xclip or wl-clipboard). Copy the address here."},
	"notray":  {Kind: NoticeInfo, Text: "This desktop doesn't show the Key2OAuth icon (GNOME needs the AppIndicator extension). To come back to this page, start Key2OAuth again."},
	"unlock":  {Kind: NoticeInfo, Text: "Unlock the keychain in the window your desktop opened."},
}

// SecondName is a name for a server that is added once more.
func SecondName(of string) string { return t("again.name", name(of)) }

// KeysKept says that so many saved keys wait with a deleted server.
func KeysKept(n int) string {
	switch n {
	case 0:
		return "It has no saved key."
	case 1:
		return "1 saved key is kept encrypted until then."
	}
	return fmt.Sprintf("%d saved keys are kept encrypted until then.", n)
}

// AppsSignedOut says that so many connected apps go.
func AppsSignedOut(n int) string {
	if n == 1 {
		return "1 connected app is disconnected."
	}
	return fmt.Sprintf("%d connected apps are disconnected.", n)
}

// What a report is made of where it is plain text.
var (
	ReportGroups = map[string]string{
		"computer": "This computer", "local": "Apps on this computer", "public": "Apps on the internet", "servers": "Your servers",
	}
	ReportWhose = map[string]string{
		"yours": "for you to do", "ngrok": "ngrok's", "upstream": "the server's", "client": "the app's", "network": "the network's", "ours": "a bug in Key2OAuth",
	}
	ReportMarks = map[string]string{"ok": "ok", "warn": "note", "failed": "FAILED", "skipped": "-"}
	ReportNext  = "What to do: "
)

// How a sign-in can stand on a public origin.
var (
	MessageElsewhere = PublicMessage{Good: true, Status: http.StatusOK, Title: "Finished in the other window",
		Words: "This request was answered on the computer that runs Key2OAuth. You can close this window."}
	MessageWrongNumber = PublicMessage{Status: http.StatusGone, Title: "The number did not match",
		Words: "The number typed on the computer that runs Key2OAuth was different, so the request was ended.", Next: TextStartAgain}
	MessageOver = PublicMessage{Status: http.StatusGone, Title: "This request is over",
		Words: "It has expired, was already answered, or newer requests took its place.", Next: TextStartAgain}
	MessageOtherBrowser = PublicMessage{Status: http.StatusForbidden, Title: "This page belongs to another browser",
		Words: "Only the browser that started this sign-in can continue it. A private window, or a browser without cookies, counts as a different one.", Next: TextStartAgain}
	MessageTooMany = PublicMessage{Status: http.StatusTooManyRequests, Title: "Too many requests",
		Words: "Too many requests are waiting for approval or came from your network.", Next: "Wait a minute, then go back to the app you were connecting and press Connect again."}
)

// What the owner sees after answering a request from another device.
var (
	MessageApprovedElsewhere = DonePage{Title: "Approved", Words: "The other device continues automatically. You can close this window."}
	MessageDeniedElsewhere   = DonePage{Title: "Denied", Words: "The app on the other device gets no access. You can close this window."}
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
