package timeline

import (
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// A cause tells people why an attempt stopped. In its sentences %app stands
// for the app's name.
type cause struct {
	whose       Party
	words, next string
}

// fill inserts the app's name into a text. An unnamed app is beginning ("An
// app") at the start of the text, and "the app" after that.
func fill(s, beginning string, a Attempt) string {
	who := a.Who()
	if who != unnamed {
		return strings.ReplaceAll(s, "%app", who)
	}
	parts := strings.Split(s, "%app")
	text := parts[0]
	for _, part := range parts[1:] {
		switch {
		case text == "":
			text = beginning
		case strings.HasSuffix(text, ". "):
			text += "The app"
		default:
			text += "the app"
		}
		text += part
	}
	return text
}

const (
	addAgain = "In %app, remove the connector and add it again with the address that Key2OAuth shows."
	again    = "Press Connect in %app again."
)

// ofTrouble is the cause that the app was told too.
func ofTrouble(t endpoint.Trouble) cause {
	return cause{PartyOwner, t.Words(), t.Next() + " Press Replace on the Servers tab."}
}

// causes has every sentence about an attempt. Its keys are steps, and steps
// with the reason of a refusal.
var causes = map[string]cause{
	// Nothing was refused; the next step did not come.
	api.CauseFound:     {PartyClient, "A program looked at this address without signing in. Nothing was shared.", "You don't have to do anything."},
	"register":         {PartyClient, "%app registered, but no browser ever came to sign in.", again + " A browser window should open. If it doesn't, allow pop-ups."},
	"register ngrok":   {PartyTunnel, "%app registered, but no browser came to sign in. On the free plan, ngrok shows a page of its own first.", again + " If ngrok's page opens, press Visit Site on it."},
	"register offline": {PartyOwner, "%app registered, then the public address went offline.", "Go online again on the Internet tab. Then press Connect in %app again."},
	"authorize":        {PartyOwner, "%app opened a browser, but the approval page was never opened.", again + " The page opens in this computer's browser."},
	"authorize public": {PartyOwner, "A browser reached the public sign-in page of %app, but never the page on this computer.", again + " If the browser is on this computer, choose Continue on this computer. If it is on a phone, choose the other button."},
	"waiting":          {PartyOwner, "%app waited on another device for your answer, but none came.", again + " Then open Key2OAuth on this computer and type the number from the other screen."},
	"consent":          {PartyOwner, "You opened the request of %app but did not answer it.", again + " A request expires after 15 minutes."},
	"approve":          {PartyClient, "You approved, but %app never picked up its access.", again + " Leave its window open until it says it is connected. If it happens again, contact the makers of %app."},
	"approve offline":  {PartyOwner, "You approved, but then the public address went offline, so %app could not pick up its access.", "Go online again on the Internet tab. Then press Connect in %app again."},
	"exchange silent":  {PartyClient, "%app has access but has never used it. Nothing more can be done here.", "In %app, switch the connector off and on, or start a new conversation. If that doesn't help, contact the makers of %app."},
	"exchange offline": {PartyOwner, "%app has access, but the public address is offline, so its calls don't arrive.", "Go online again on the Internet tab."},
	causeConnected:     {NoParty, "%app is connected. It has not used a tool yet.", "Ask it for something that needs a tool."},

	// Registration.
	"register too many":     {PartyClient, "%app registered so often that it was told to wait.", "Wait a minute. Then press Connect in %app again."},
	"register redirect":     {PartyClient, "%app wants its answer at an address that is not allowed.", "This is a bug in %app. Tell its makers that its redirect URI was refused."},
	"register registration": {PartyClient, "Key2OAuth does not understand how %app registered.", "This is a bug in %app. Tell its makers that its registration was refused."},

	// The authorization request.
	"authorize client":   {PartyClient, "%app uses a registration from another Key2OAuth, or from another server at this address.", addAgain},
	"authorize redirect": {PartyClient, "%app wants the answer at an address it did not register.", addAgain},
	"authorize document": {PartyClient, "%app describes itself at a web address, but Key2OAuth can't use the description.", "Wait a minute and press Connect in %app again. If that doesn't help, contact its makers."},
	"authorize resource": {PartyOwner, "%app asks for an address that is not one of your servers. It was mistyped, or the server was deleted.", "Copy the server's address from Key2OAuth, then add the connector again in %app."},
	"authorize pkce":     {PartyClient, "%app does not protect its sign-in (PKCE with S256), so it was refused.", "Update %app. If it is up to date, contact its makers."},
	"authorize refused":  {PartyClient, "Key2OAuth does not understand the sign-in request of %app.", "Update %app. If it is up to date, contact its makers."},

	// Consent.
	"key rejected":    {PartyOwner, "The server did not accept the API key that was pasted for %app.", "Copy the whole key from the server's website. Then press Connect in %app again."},
	"key unreachable": {PartyUpstream, "The API key for %app could not be checked, because its server did not answer.", "Check that the server works and that its address is right. Then press Connect in %app again."},
	"key busy":        {PartyUpstream, "The API key for %app could not be checked, because its server has a problem.", "Wait a while. Then press Connect in %app again."},
	"key not_mcp":     {PartyOwner, "There is no MCP server at the server's address.", "Look up the address in the server's documentation: often it ends in /mcp or /sse. Change it with Edit on the Servers tab."},
	"key redirect":    {PartyOwner, "The server redirects to another address, where the API key must not be sent.", "With Edit on the Servers tab, change the server's address to the one it redirects to."},
	"key refused":     {PartyOwner, "Keys must not be sent to the server's address.", "Change the server's address with Edit on the Servers tab."},
	"key keyless":     {PartyOwner, "The server answers without a key as well, so the key could not be checked.", "Approve it as the owner: open Key2OAuth from its icon, or run: key2oauth open"},
	"key unproven":    {PartyUpstream, "The server accepts wrong keys as well, or was not seen to refuse one, so the key could not be checked.", "Approve it as the owner: open Key2OAuth from its icon, or run: key2oauth open"},
	"key odd":         {PartyUpstream, "The server answers in a way that most apps do not understand.", "Contact the people who run the server."},
	"key barred":      {PartyUpstream, "The server refuses this computer, no matter which key is used.", "Look up in the server's settings or documentation from where it may be used."},
	"key header":      {PartyOwner, "The server wants the API key in another header.", "Change the header with Edit on the Servers tab. Then press Connect in %app again."},
	"key locked":      {PartyOwner, "The keychain is locked, so no key could be used.", "Unlock it. Then press Connect in %app again."},
	"key":             {PartyOwner, "No usable API key was given for %app.", again},
	"number":          {PartyOwner, "A wrong number was typed, which ended the request.", again + " If you did not start this, someone else tried to get in and failed."},
	"approve denied":  {PartyOwner, "You denied %app.", "If that was a mistake, press Connect in %app again."},
	"approve disk":    {PartyOwner, "Your approval of %app could not be saved.", "Free some space on the disk. Then press Connect in %app again."},

	// The code, and later the refresh token.
	"exchange client":       {PartyClient, "%app asked for access with a registration from elsewhere.", addAgain},
	"exchange redirect":     {PartyClient, "%app asked for access with another address than it signed in with.", "This is a bug in %app. " + again},
	"exchange pkce":         {PartyClient, "%app could not prove that it is the one that signed in. It mixed up two attempts.", "Close all windows of %app that are trying to connect. " + again},
	"exchange expired":      {PartyClient, "%app asked for access after more than 5 minutes, which is too late.", again},
	"exchange other client": {PartyClient, "%app signed in with one registration and asked for access with another.", addAgain},
	"exchange mixed":        {PartyClient, "%app registered twice and asked for access with the wrong registration.", addAgain},
	"exchange other origin": {PartyClient, "%app signed in at one of your addresses and asked for access at another.", addAgain},
	"exchange reused":       {PartyClient, "%app used its code twice. One of the two may have been someone else, so its access was ended.", again},
	"exchange resource":     {PartyClient, "%app signed in for one server and asked for access to another.", addAgain},
	"exchange unknown":      {PartyClient, "%app sent an unknown or expired code.", again},
	"exchange state":        {PartyOwner, "The access of %app could not be saved.", "Free some space on the disk. %app tries again automatically."},
	"exchange":              {PartyClient, "Key2OAuth does not understand how %app asked for access.", "Update %app. If it is up to date, contact its makers."},
	"refresh unknown":       {PartyOwner, "The access of %app has ended: it was disconnected, or not used for 90 days.", again},
	"refresh expired":       {PartyOwner, "The access of %app has ended: it was not used for 90 days.", again},
	"refresh reused":        {PartyClient, "%app used an old refresh token, so its access was ended.", again},
	"refresh state":         {PartyOwner, "The access of %app could not be refreshed, because the data folder can't be written.", "Free some space on the disk. %app tries again automatically."},
	"refresh":               {PartyClient, "%app could not refresh its access.", again},

	// Calls.
	"token unknown":      {PartyClient, "%app calls with an invalid or expired access token.", "It should refresh it automatically. If it doesn't, press Connect in %app again."},
	"token endpoint":     {PartyClient, "%app calls this server with access to another one.", addAgain},
	"token other origin": {PartyClient, "%app signed in at one of your addresses and calls another.", addAgain},
	"token":              {PartyClient, "%app does not use an access token from Key2OAuth.", "If you entered a key or a password in %app, remove it: %app must sign in instead."},
	"call 401":           {PartyOwner, "The server no longer accepts the API key.", "Open the server, press Replace and paste a new one. %app keeps working."},
	"call 403":           {PartyUpstream, "The server refuses what %app asks, although the key works.", "Check on the server's website whether the key may do this, and whether it blocks calls from your network."},
	"call 404":           {PartyOwner, "The server says there is nothing at its address.", "Look up the address in the server's documentation, and change it with Edit on the Servers tab."},
	"call 405":           {PartyOwner, "The server does not accept MCP calls at this address.", "Look up the address in the server's documentation: often it ends in /mcp or /sse. Change it with Edit on the Servers tab."},
	"call 429":           {PartyUpstream, "The server turned %app away for too many calls.", "Wait a while, or look up the limits of your key at the server's website."},
	"call 499":           {PartyUpstream, "The server took so long that %app gave up.", "Try again. If the problem persists, contact the server's operator."},
	"call 502":           {PartyUpstream, "The server could not be reached, or it redirects to another address.", "Press Check everything on the Health tab to see which."},
	"call busy":          {PartyUpstream, "The server is not available right now.", "Wait a while, then try again."},
	"call 5xx":           {PartyUpstream, "The server failed.", "Try again. If the problem persists, contact the server's operator."},
	"call paused":        {PartyOwner, "Key2OAuth is paused, so %app gets no answer.", "Press Resume on the Servers tab."},
	"call locked":        {PartyOwner, "The keychain is locked, so %app gets no answer.", "Unlock it."},
	"call key keychain":  ofTrouble(endpoint.TroubleKeychain),
	"call key address":   ofTrouble(endpoint.TroubleAddress),
	"call key damaged":   ofTrouble(endpoint.TroubleDamaged),
	"call key gone":      ofTrouble(endpoint.TroubleGone),
	"call":               {PartyUpstream, "The server did not understand %app.", "It may use another version of MCP than %app. Contact the server's operator."},
}

// going says what an attempt that is still in progress waits for.
var going = map[Step]string{
	"":         "It has just begun.",
	Found:      "It has just begun.",
	Registered: "It has just registered. A browser should open next.",
	Asked:      "A browser is on the sign-in page.",
	Waiting:    "It waits for you to type the number.",
	Shown:      "It waits for your answer.",
	Number:     "It waits for your answer.",
	Key:        "It waits for your answer.",
	Approved:   "You have just approved it.",
	Exchanged:  "It has just got access.",
	Refreshed:  "It has just refreshed its access.",
}
