package tunnel

import "strings"

// Whose says who has to fix a problem.
type Whose string

// Who can fix a problem.
const (
	Yours   Whose = "yours"   // the owner: a setting, an account, another program
	Ngroks  Whose = "ngrok"   // ngrok, or who runs the tunnel
	Network Whose = "network" // the network in between
	Ours    Whose = "ours"    // Key2OAuth
)

// A Problem is what is wrong with a tunnel, for people.
type Problem struct {
	Code  string // ngrok's, "ERR_NGROK_107", or ""
	Words string // what is wrong
	Next  string // what to do
	Link  string // a page where to do it, or ""
	Whose Whose
	// Permanent says that trying again is useless until something changes, which
	// may be an account, the network or the month.
	Permanent bool

	Cause Cause // what the words are about
}

// Pages where people can fix something. Every link is one of them.
const (
	authtokenPage = "https://dashboard.ngrok.com/get-started/your-authtoken"
	domainsPage   = "https://dashboard.ngrok.com/domains"
	agentsPage    = "https://dashboard.ngrok.com/agents"
	accountPage   = "https://dashboard.ngrok.com/"
	billingPage   = "https://dashboard.ngrok.com/billing"
	supportPage   = "https://ngrok.com/support"
	statusPage    = "https://status.ngrok.com/"
	releasesPage  = "https://github.com/key2oauth/key2oauth/releases"
)

// A Cause is what went wrong: the number of one of ngrok's codes, such as
// "107", or one of the names below.
type Cause string

// What goes wrong without a code of ngrok's.
const (
	CauseOffline       Cause = "offline"
	CauseNoName        Cause = "name not found"
	CauseRefused       Cause = "refused"
	CauseUnreachable   Cause = "unreachable"
	CauseSlow          Cause = "timeout"
	CauseIntercepted   Cause = "intercepted"
	CauseNotTLS        Cause = "not TLS"
	CauseBadCert       Cause = "certificate"
	CauseBroken        Cause = "broken"
	CauseSilent        Cause = "silent"
	CauseStopped       Cause = "stopped"
	CauseTakenOffline  Cause = "taken offline"
	CauseRestarted     Cause = "restarted"
	CauseHeldLong      Cause = "held long"
	CausePortTaken     Cause = "port taken"
	CauseBadAddress    Cause = "bad address"
	CauseBadURL        Cause = "bad URL"
	CauseServeEnded    Cause = "serve ended"
	CauseProbeHTML     Cause = "probe HTML"
	CauseProbeOther    Cause = "probe other"
	CauseProbeHost     Cause = "probe host"
	CauseProbeCF       Cause = "probe cloudflare"
	CauseProbeCFOrigin Cause = "probe cloudflare origin"
	CauseProbeLoop     Cause = "probe bad gateway"
	CauseProbeName     Cause = "probe name"
	CauseProbeNotTLS   Cause = "probe not TLS"
	CauseProbeRefused  Cause = "probe refused"
	CauseProbeSlow     Cause = "probe timeout"
	CauseProbeBroken   Cause = "probe broken"
	CauseUnknownCode   Cause = "unknown code"
	CauseUnknown       Cause = "unknown"
)

// ProblemOf returns the words for a cause.
func ProblemOf(code Cause) Problem {
	key := code
	numbered := code != "" && strings.Trim(string(code), "0123456789") == ""
	if _, ok := words[code]; !ok && numbered {
		key = CauseUnknownCode
	} else if !ok {
		key = CauseUnknown
	}
	p := words[key]
	p.Cause = key
	switch {
	case numbered:
		p.Code = "ERR_NGROK_" + string(code)
	case code == CauseHeldLong:
		p.Code = "ERR_NGROK_334"
	}
	return p
}

// words is every sentence about a tunnel. Its keys are the numbers of ngrok's
// codes and the names above.
var words = map[Cause]Problem{
	// The authtoken.
	"105":  {Words: "This is not an ngrok authtoken. It may have been cut off when it was copied, or it is a different kind of key.", Next: "Copy the authtoken from your ngrok dashboard and paste it here again.", Link: authtokenPage, Whose: Yours, Permanent: true},
	"106":  {Words: "This is an old kind of authtoken that ngrok no longer accepts.", Next: "Copy the authtoken from your ngrok dashboard and paste it here.", Link: authtokenPage, Whose: Yours, Permanent: true},
	"107":  {Words: "ngrok does not accept this authtoken. It was mistyped, or it was reset in your ngrok account.", Next: "Copy the authtoken from your ngrok dashboard and paste it here again.", Link: authtokenPage, Whose: Yours, Permanent: true},
	"300":  {Words: "This authtoken was revoked in your ngrok account.", Next: "Copy another authtoken from your ngrok dashboard and paste it here.", Link: authtokenPage, Whose: Yours, Permanent: true},
	"4018": {Words: "ngrok needs an authtoken, and none is saved.", Next: "Copy the authtoken from your ngrok dashboard and paste it here. Sign up with ngrok first if you have no account.", Link: authtokenPage, Whose: Yours, Permanent: true},

	// The account.
	"102":   {Words: "ngrok blocked tunnels for your account because a payment failed.", Next: "Fix the payment in your ngrok account, then connect again.", Link: billingPage, Whose: Yours, Permanent: true},
	"337":   {Words: "ngrok blocked tunnels for your account because a payment failed.", Next: "Fix the payment in your ngrok account, then connect again.", Link: billingPage, Whose: Yours, Permanent: true},
	"103":   {Words: "ngrok suspended your account.", Next: "Ask ngrok's support why. Until then, you can use another kind of tunnel.", Link: supportPage, Whose: Yours, Permanent: true},
	"338":   {Words: "ngrok suspended your account.", Next: "Ask ngrok's support why. Until then, you can use another kind of tunnel.", Link: supportPage, Whose: Yours, Permanent: true},
	"3208":  {Words: "ngrok banned this account. That happens when it takes a page for phishing.", Next: "Ask ngrok's support to review it. Until then, you can use another kind of tunnel.", Link: supportPage, Whose: Ngroks, Permanent: true},
	"108":   {Words: "Your ngrok account has reached its limit of connected programs.", Next: "Close ngrok on your other computers, or end a session in the list of agents. Key2OAuth keeps trying.", Link: agentsPage, Whose: Yours},
	"348":   {Words: "Your ngrok account has reached its limit of connected programs.", Next: "Close ngrok on your other computers, or end a session in the list of agents. Key2OAuth keeps trying.", Link: agentsPage, Whose: Yours},
	"324":   {Words: "Your ngrok account has reached its limit of online addresses.", Next: "Take one of your other ngrok endpoints offline. Key2OAuth keeps trying.", Link: accountPage, Whose: Yours},
	"4026":  {Words: "Your ngrok account has no credit left.", Next: "Choose a plan in your ngrok account, or wait until next month.", Link: billingPage, Whose: Yours, Permanent: true},
	"8013":  {Words: "ngrok requires a payment card on your account for this kind of address.", Next: "Use your account's own https domain, or add a card.", Link: billingPage, Whose: Yours, Permanent: true},
	"9009":  {Words: "Your ngrok plan doesn't allow connections through a proxy.", Next: "Use a network without a proxy, or another kind of tunnel.", Link: billingPage, Whose: Yours, Permanent: true},
	"9040":  {Words: "ngrok isn't available in the country you seem to connect from.", Next: "Turn off your VPN if you use one. Otherwise use another kind of tunnel.", Whose: Ngroks, Permanent: true},
	"22001": {Words: "ngrok isn't available in the country you seem to connect from.", Next: "Turn off your VPN if you use one. Otherwise use another kind of tunnel.", Whose: Ngroks, Permanent: true},

	// The address.
	"313":         {Words: "Your ngrok plan doesn't include custom domains.", Next: "Leave the address empty to use the domain that came with your account.", Link: domainsPage, Whose: Yours, Permanent: true},
	"314":         {Words: "Your ngrok plan doesn't let you choose a name.", Next: "Leave the address empty to use the domain that came with your account.", Link: domainsPage, Whose: Yours, Permanent: true},
	"316":         {Words: "This authtoken can't be used for this address: your ngrok account limits it to others.", Next: "Allow the address for this authtoken in your ngrok dashboard, or paste another authtoken.", Link: authtokenPage, Whose: Yours, Permanent: true},
	"319":         {Words: "This domain doesn't belong to your ngrok account.", Next: "Look up your domain in your ngrok dashboard, or leave the address empty.", Link: domainsPage, Whose: Yours, Permanent: true},
	"320":         {Words: "This domain belongs to a different ngrok account.", Next: "Paste the authtoken of that account, or leave the address empty.", Link: domainsPage, Whose: Yours, Permanent: true},
	"334":         {Words: "An earlier connection still holds your address. This is common after sleep or a crash.", Next: "Nothing to do: it reconnects automatically.", Link: agentsPage, Whose: Ngroks},
	CauseHeldLong: {Words: "Your address is in use by another computer or another ngrok program.", Next: "Close it there, or end its session in the list of agents. Key2OAuth keeps trying.", Link: agentsPage, Whose: Yours},
	"15013":       {Words: "Your ngrok account has no domain yet.", Next: "Open the domains page in your ngrok dashboard, which creates one for you, then connect again.", Link: domainsPage, Whose: Yours, Permanent: true},
	"9036":        {Words: "ngrok doesn't understand this address.", Next: "Write it as https://your-name.ngrok-free.app, or leave it empty.", Link: domainsPage, Whose: Yours, Permanent: true},
	"9037":        {Words: "An ngrok address can't have a port.", Next: "Write it as https://your-name.ngrok-free.app, or leave it empty.", Link: domainsPage, Whose: Yours, Permanent: true},
	"9038":        {Words: "An ngrok address can't have anything after the name.", Next: "Write it as https://your-name.ngrok-free.app, without a slash at the end, or leave it empty.", Link: domainsPage, Whose: Yours, Permanent: true},

	// The program.
	"120": {Words: "This version of Key2OAuth is too old for ngrok.", Next: "Install the latest version.", Link: releasesPage, Whose: Ours, Permanent: true},
	"121": {Words: "This version of Key2OAuth is too old for ngrok.", Next: "Install the latest version.", Link: releasesPage, Whose: Ours, Permanent: true},

	// What only clients see.
	"3200": {Words: "ngrok says your address is offline, although Key2OAuth is connected.", Next: "Wait half a minute, then connect again.", Whose: Ngroks},
	"3004": {Words: "ngrok reached Key2OAuth but got no valid answer.", Next: "Connect again. If this continues, report it as a bug in Key2OAuth.", Whose: Ours},
	"8012": {Words: "Another ngrok program is using your address, and the program behind it isn't running.", Next: "Close the other ngrok program, or end its session in the list of agents.", Link: agentsPage, Whose: Yours},
	"6024": {Words: "ngrok showed its warning page instead of passing the request on.", Next: "In a browser, press Visit Site once. Apps don't see this page.", Whose: Ngroks},
	"725":  {Words: "Your ngrok account has used up this month's data.", Next: "Wait until next month, or choose a larger plan. Apps on this computer still work.", Link: billingPage, Whose: Yours, Permanent: true},
	"727":  {Words: "Your ngrok account has used up this month's requests.", Next: "Wait until next month, or choose a larger plan. Apps on this computer still work.", Link: billingPage, Whose: Yours, Permanent: true},
	"702":  {Words: "Too many requests arrived within a minute, so ngrok turned some away.", Next: "Wait a minute. It ends automatically.", Whose: Ngroks},
	"703":  {Words: "Too many connections arrived within a minute, so ngrok turned some away.", Next: "Wait a minute. It ends automatically.", Whose: Ngroks},
	"715":  {Words: "Too many requests arrived within a minute, so ngrok turned some away.", Next: "Wait a minute. It ends automatically.", Whose: Ngroks},
	"734":  {Words: "Too many requests arrived within a minute, so ngrok turned some away.", Next: "Wait a minute. It ends automatically.", Whose: Ngroks},

	CauseUnknownCode: {Words: "ngrok refused, for an unknown reason.", Next: "Look the code up in ngrok's documentation. Key2OAuth keeps trying.", Link: supportPage, Whose: Ngroks},

	// The way to ngrok.
	CauseOffline:      {Words: "This computer is not connected to a network.", Next: "Nothing to do: it reconnects when the network is back.", Whose: Network},
	CauseNoName:       {Words: "Can't find ngrok's address. You may be offline, or this network blocks ngrok.", Next: "Open any web page to check that the internet works. Key2OAuth keeps trying.", Whose: Network},
	CauseRefused:      {Words: "The connection to ngrok was refused. This network may block it.", Next: "Try another network, or ask its administrator to allow connect.ngrok-agent.com on port 443. Key2OAuth keeps trying.", Whose: Network},
	CauseUnreachable:  {Words: "This network can't reach ngrok.", Next: "Open any web page to check that the internet works. Key2OAuth keeps trying.", Whose: Network},
	CauseSlow:         {Words: "ngrok didn't answer in time. The network may be slow, or it blocks ngrok.", Next: "Key2OAuth keeps trying. If this continues, try another network.", Whose: Network},
	CauseIntercepted:  {Words: "Something on the way to ngrok opens encrypted connections, so nothing was sent. Company networks and some virus scanners do that.", Next: "Add an exception for connect.ngrok-agent.com there, or use another network or another kind of tunnel.", Whose: Network},
	CauseNotTLS:       {Words: "Something other than ngrok answered. It may be the login page of a hotel or airport network.", Next: "Open any web page and sign in to the network. Key2OAuth keeps trying.", Whose: Network},
	CauseBroken:       {Words: "The connection to ngrok was lost.", Next: "Nothing to do: it reconnects automatically.", Whose: Network},
	CauseSilent:       {Words: "ngrok stopped answering. This happens after sleep or a change of network.", Next: "Nothing to do: it reconnects automatically.", Whose: Network},
	CauseStopped:      {Words: "The tunnel was stopped from your ngrok dashboard.", Next: "Connect again when you want it back.", Whose: Yours, Permanent: true},
	CauseTakenOffline: {Words: "ngrok took your address offline.", Next: "Nothing to do: it reconnects automatically.", Link: accountPage, Whose: Ngroks},
	CauseRestarted:    {Words: "Your ngrok dashboard asked for a new connection.", Next: "Nothing to do: it reconnects automatically.", Whose: Yours},

	// A tunnel of the owner's own.
	CausePortTaken:  {Words: "Another program is using the address for your tunnel.", Next: "Close that program, or choose another port here and in your tunnel's settings. Key2OAuth keeps trying.", Whose: Yours},
	CauseBadAddress: {Words: "Key2OAuth can't listen on that address. It must be one of this computer's, such as 127.0.0.1:7451.", Next: "Correct the address for the tunnel.", Whose: Yours, Permanent: true},
	CauseBadURL:     {Words: "The public address must start with https:// and have nothing after the name.", Next: "Write it as https://mcp.example.com.", Whose: Yours, Permanent: true},

	// What a self-test finds.
	CauseBadCert:       {Words: "The public address has no valid certificate, so apps refuse to connect.", Next: "Check the https settings of your tunnel.", Whose: Yours},
	CauseProbeHTML:     {Words: "A web page answered at the public address, not Key2OAuth. The tunnel leads elsewhere, or something asks for a login first.", Next: "Check where your tunnel points, and turn off any login in front of it.", Whose: Yours},
	CauseProbeOther:    {Words: "Something answered at the public address, but it wasn't Key2OAuth.", Next: "Check where your tunnel points.", Whose: Yours},
	CauseProbeHost:     {Words: "Your tunnel reaches Key2OAuth under another name, or at a port that isn't for tunnels.", Next: "Make it pass the Host header on unchanged, and point it to the address shown here.", Whose: Yours},
	CauseProbeCF:       {Words: "Cloudflare answered instead of Key2OAuth. A rule or its bot protection stopped the request.", Next: "In your Cloudflare settings, turn off Bot Fight Mode and access rules for this name.", Whose: Yours},
	CauseProbeCFOrigin: {Words: "Cloudflare answered, but it can't reach your tunnel.", Next: "Check that cloudflared is running, and that it points to the address shown here.", Whose: Yours},
	CauseProbeLoop:     {Words: "Your tunnel says it can't reach Key2OAuth.", Next: "Check that it points to the address shown here.", Whose: Yours},
	CauseProbeName:     {Words: "This domain does not resolve.", Next: "Check the spelling. A new name may take a few minutes to work.", Whose: Yours},
	CauseProbeNotTLS:   {Words: "The public address doesn't answer with https.", Next: "Check the https settings of your tunnel.", Whose: Yours},
	CauseProbeRefused:  {Words: "Can't reach the public address.", Next: "Check that your tunnel is running.", Whose: Yours},
	CauseProbeSlow:     {Words: "The public address didn't answer in time.", Next: "Try again. If this continues, check where your tunnel points.", Whose: Network},
	CauseProbeBroken:   {Words: "The connection to the public address was lost before it answered.", Next: "Try again. If this continues, check where your tunnel points.", Whose: Network},

	CauseServeEnded: {Words: "Key2OAuth stopped answering the tunnel unexpectedly.", Next: "Nothing to do: it restarts automatically. If this continues, report it as a bug in Key2OAuth.", Whose: Ours},
	CauseUnknown:    {Words: "The tunnel couldn't be opened, for an unknown reason.", Next: "Key2OAuth keeps trying. Its log has the details.", Whose: Network},
}

// What is said when nothing is wrong.
const (
	WordsOff        = "Only apps on this computer can connect."
	WordsPaused     = "Key2OAuth is paused, so it can't be reached from the internet."
	connectingWords = "Connecting."
	onlineWords     = "Online."
	listeningWords  = "Waiting for the first request through your tunnel."
)
