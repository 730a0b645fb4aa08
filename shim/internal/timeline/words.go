package timeline

import "strings"

// A cause is why an attempt does not go on, for people. In its sentences %app
// stands for the app's name.
type cause struct {
	whose       Whose
	words, next string
}

// fill puts the app's name into a text. One that has none is "An app" where the
// text begins with it and beginning says so, and "the app" from then on.
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

// causes is every sentence about an attempt. Its keys are steps, and steps with
// the reason of a refusal.
var causes = map[string]cause{
	// Nothing was refused; it just did not go on.
	"found":            {Clients, "%app looked at this address and did not try to sign in.", "If that was you, press Connect in %app. If nobody of yours did this, ignore it: nothing was given away."},
	"register":         {Clients, "%app registered, but no browser ever came to sign in.", again + " A browser window should open; allow pop-ups if it does not."},
	"register ngrok":   {Ngroks, "%app registered, but no browser came through to sign in. On the free plan ngrok shows a page of its own first.", again + " If a page of ngrok's opens, press Visit Site on it."},
	"register offline": {Yours, "%app registered, and then the public address went offline.", "Go online again on the page Internet. Then press Connect in %app again."},
	"authorize":        {Yours, "A browser brought the request of %app, but the page where you approve was not opened.", again + " The page opens in the browser of this computer."},
	"authorize public": {Yours, "A browser reached the public sign-in page of %app, but never the page on this computer.", again + " If the browser is on this computer, choose Continue on this computer. If it is on a phone, choose the other button."},
	"waiting":          {Yours, "%app waited on another device for your answer, and none came.", again + " Then open Key2OAuth on this computer and type the number from the other screen."},
	"consent":          {Yours, "The page where you approve %app was opened and not answered.", again + " A request is good for 15 minutes."},
	"approve":          {Clients, "You approved, and the answer went to %app, but %app never came for its access.", again + " Leave its window open until it says that it is connected. If it happens again, the app lost the answer on its side."},
	"approve offline":  {Yours, "You approved, but then the public address was offline, so %app could not come for its access.", "Go online again on the page Internet. Then press Connect in %app again."},
	"exchange silent":  {Clients, "%app has its access, and has never used it. All that could be done here is done.", "In %app, switch the connector off and on, or start a new conversation. If nothing comes then, the fault is with the makers of %app."},
	"exchange offline": {Yours, "%app has its access, but the public address is offline, so its calls do not arrive.", "Go online again on the page Internet."},
	"connected":        {Nobodys, "%app is connected. It has not used a tool yet.", "Ask it for something that needs one of the tools."},

	// Registration.
	"register too many":     {Clients, "%app registered so often that it was told to wait.", "Wait a minute. Then press Connect in %app again."},
	"register redirect":     {Clients, "%app wants its answer at an address that is not allowed.", "This is a fault in %app. Tell its makers that its redirect URI was refused."},
	"register registration": {Clients, "%app registered in a way that is not understood here.", "This is a fault in %app. Tell its makers that its registration was refused."},

	// The authorization request.
	"authorize client":   {Clients, "%app uses a registration that was not made here. It is one from another Key2OAuth, or from another server at this address.", addAgain},
	"authorize redirect": {Clients, "%app wants the answer at an address that it did not register.", addAgain},
	"authorize document": {Clients, "%app describes itself at a web address, and what is there cannot be used.", "Wait a minute and press Connect in %app again. If that does not help, tell its makers."},
	"authorize resource": {Yours, "%app asks for an address that is no server of yours. It was mistyped, or the server was deleted.", "Copy the address of the server from Key2OAuth, and add the connector anew in %app."},
	"authorize pkce":     {Clients, "%app does not protect its sign-in (PKCE with S256), so it was refused.", "Update %app. If it is up to date, tell its makers."},
	"authorize refused":  {Clients, "%app sent a sign-in request that is not understood here.", "Update %app. If it is up to date, tell its makers."},

	// Consent.
	"key rejected":    {Yours, "The server did not accept the API key that was pasted for %app.", "Copy the whole key from the server's website. Then press Connect in %app again."},
	"key unreachable": {Upstreams, "The API key for %app could not be checked, because its server did not answer.", "Look whether the server works, and whether its address is right. Then press Connect in %app again."},
	"key busy":        {Upstreams, "The API key for %app could not be checked, because its server has trouble of its own.", "Wait a while. Then press Connect in %app again."},
	"key not_mcp":     {Yours, "What answers at the server's address is no MCP server.", "Look up the address in the server's documentation: often it ends in /mcp or /sse. Change it with Edit on the page Servers."},
	"key redirect":    {Yours, "The server sends its visitors on to another address, and the API key must not follow.", "Change the server's address with Edit on the page Servers to the one that it leads to."},
	"key refused":     {Yours, "The server's address leads to where no key may be sent.", "Change the server's address with Edit on the page Servers."},
	"key keyless":     {Yours, "The server answers without a key as well, so the key could not be checked.", "Approve it as the owner: open Key2OAuth from its icon or by the command key2oauth open."},
	"key header":      {Yours, "The server wants the API key in another header than it is sent in.", "Change the header with Edit on the page Servers. Then press Connect in %app again."},
	"key locked":      {Yours, "The keychain is locked, so no key could be used.", "Unlock it. Then press Connect in %app again."},
	"key":             {Yours, "No usable API key was given for %app.", again},
	"number":          {Yours, "A wrong number was typed, which ended the request.", again + " If you did not ask for this, somebody else tried to get in, and did not."},
	"approve denied":  {Yours, "You said no to %app.", "Nothing. If that was a mistake, press Connect in %app again."},
	"approve disk":    {Yours, "Your approval of %app could not be saved.", "Free some space on the disk. Then press Connect in %app again."},

	// The code, and later the refresh token.
	"exchange client":       {Clients, "%app came for its access with a registration that was not made here.", addAgain},
	"exchange redirect":     {Clients, "%app came for its access under another address than it had signed in with.", "This is a fault in %app. " + again},
	"exchange pkce":         {Clients, "%app could not prove that it is the one that signed in. It mixes up two attempts.", "Close all windows of %app that try to connect. " + again},
	"exchange expired":      {Clients, "%app came for its access after more than 5 minutes, which is too late.", again},
	"exchange other client": {Clients, "%app signed in under one registration and came for its access under another.", addAgain},
	"exchange mixed":        {Clients, "%app registered twice, and came for its access under the wrong one of the two.", addAgain},
	"exchange other origin": {Clients, "%app signed in at one of your addresses and came for its access at another.", addAgain},
	"exchange reused":       {Clients, "%app used its code twice, so its access was ended: nobody can say which of the two was %app.", again},
	"exchange resource":     {Clients, "%app signed in for one server and asks for access to another.", addAgain},
	"exchange unknown":      {Clients, "%app came with a code that is not known here, or not any more.", again},
	"exchange state":        {Yours, "The access of %app could not be saved.", "Free some space on the disk. %app tries again by itself."},
	"exchange":              {Clients, "%app asked for its access in a way that is not understood here.", "Update %app. If it is up to date, tell its makers."},
	"refresh unknown":       {Yours, "The access of %app has ended: it was revoked, or not used for 90 days.", again},
	"refresh expired":       {Yours, "The access of %app has ended: it was not used for 90 days.", again},
	"refresh reused":        {Clients, "%app used an old refresh token, so its access was ended.", again},
	"refresh state":         {Yours, "The access of %app could not be renewed, because the state cannot be written.", "Free some space on the disk. %app tries again by itself."},
	"refresh":               {Clients, "%app could not renew its access.", again},

	// Calls.
	"token unknown":      {Clients, "%app calls with an access token that is not good any more, or never was.", "Nothing at first: it should renew it by itself. If it does not, press Connect in %app again."},
	"token endpoint":     {Clients, "%app calls this server with the access that it got for another one.", addAgain},
	"token other origin": {Clients, "%app signed in at one of your addresses and calls another.", addAgain},
	"token":              {Clients, "%app calls with something that is no access token of Key2OAuth.", "If you entered a key or a password in %app, take it out: %app must sign in instead."},
	"call 401":           {Yours, "The server does not accept the API key any more.", "Paste a new one: press Replace on the page Servers. %app goes on by itself."},
	"call 403":           {Upstreams, "The server refuses what %app asks, although the key is good.", "Look at the server's website whether the key may do this, and whether it blocks calls from your network."},
	"call 404":           {Yours, "The server says that there is nothing at its address.", "Look up the address in the server's documentation, and change it with Edit on the page Servers."},
	"call 405":           {Yours, "The server does not take MCP calls at this address.", "Look up the address in the server's documentation: often it ends in /mcp or /sse. Change it with Edit on the page Servers."},
	"call 429":           {Upstreams, "The server turned %app away for too many calls.", "Wait a while, or look up the limits of your key at the server's website."},
	"call 499":           {Upstreams, "The server took so long that %app gave up.", "Try again. If it stays like this, ask whoever runs the server."},
	"call 502":           {Upstreams, "The server could not be reached, or it sends its visitors on to another address.", "Press Check everything, which says which of the two it is."},
	"call busy":          {Upstreams, "The server is not available just now.", "Wait a while and try again."},
	"call 5xx":           {Upstreams, "The server failed.", "Try again. If it stays like this, ask whoever runs the server."},
	"call paused":        {Yours, "Everything is paused here, so %app gets no answer.", "Press Resume on the page Servers."},
	"call locked":        {Yours, "The keychain is locked, so %app gets no answer.", "Unlock it."},
	"call":               {Upstreams, "The server did not understand %app.", "It may speak another version of MCP than %app. Ask whoever runs the server."},
}

// going says what an attempt waits for that may well go on.
var going = map[Step]string{
	"":         "It has begun just now.",
	Found:      "It has begun just now.",
	Registered: "It registered just now. A browser should come next.",
	Asked:      "A browser is at the sign-in page.",
	Waiting:    "It waits for you to type the number.",
	Shown:      "It waits for your answer.",
	Number:     "It waits for your answer.",
	Key:        "It waits for your answer.",
	Approved:   "You approved just now.",
	Exchanged:  "It got its access just now.",
	Refreshed:  "It renewed its access just now.",
}
