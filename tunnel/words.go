package tunnel

import "strings"

// Whose says whose fault a problem is.
type Whose string

// Who can be at fault.
const (
	Yours   Whose = "yours"   // the owner's: a setting, an account, another program of his
	Ngroks  Whose = "ngrok"   // the service's, or that of whoever runs the tunnel
	Network Whose = "network" // of what lies between
	Ours    Whose = "ours"    // this program's
)

// A Problem is what is wrong with a tunnel, for people.
type Problem struct {
	Code  string // ngrok's, "ERR_NGROK_107", or ""
	Words string // what is wrong and whose fault it is
	Next  string // what to do
	Link  string // a page where to do it, or ""
	Whose Whose
	// Permanent says that to try again is of no use before something changes.
	Permanent bool

	Cause Cause // what the words are about
}

// Pages where people can do something. No link comes from anywhere else.
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
	"106":  {Words: "This authtoken is of an old kind that ngrok no longer accepts.", Next: "Copy the authtoken from your ngrok dashboard and paste it here.", Link: authtokenPage, Whose: Yours, Permanent: true},
	"107":  {Words: "ngrok does not accept this authtoken. It was mistyped, or it was reset in your ngrok account.", Next: "Copy the authtoken from your ngrok dashboard and paste it here again.", Link: authtokenPage, Whose: Yours, Permanent: true},
	"300":  {Words: "This authtoken was revoked in your ngrok account.", Next: "Copy another authtoken from your ngrok dashboard and paste it here.", Link: authtokenPage, Whose: Yours, Permanent: true},
	"4018": {Words: "ngrok asks for an authtoken, and there is none here.", Next: "Sign up with ngrok if you have no account, then copy the authtoken from its dashboard and paste it here.", Link: authtokenPage, Whose: Yours, Permanent: true},

	// The account.
	"102":   {Words: "ngrok closed your account to tunnels because a payment failed.", Next: "Settle the payment in your ngrok account, then connect again.", Link: billingPage, Whose: Yours, Permanent: true},
	"337":   {Words: "ngrok closed your account to tunnels because a payment failed.", Next: "Settle the payment in your ngrok account, then connect again.", Link: billingPage, Whose: Yours, Permanent: true},
	"103":   {Words: "ngrok suspended your account.", Next: "Ask ngrok's support why. Until then, a tunnel of another kind works too.", Link: supportPage, Whose: Yours, Permanent: true},
	"338":   {Words: "ngrok suspended your account.", Next: "Ask ngrok's support why. Until then, a tunnel of another kind works too.", Link: supportPage, Whose: Yours, Permanent: true},
	"3208":  {Words: "ngrok banned this account. It does so when it takes a page for one that steals passwords.", Next: "Ask ngrok's support to look again. Until then, a tunnel of another kind works too.", Link: supportPage, Whose: Ngroks, Permanent: true},
	"108":   {Words: "Your ngrok account allows no more programs to be connected at the same time.", Next: "Close ngrok on your other computers, or end a session in the list of agents. This is tried again by itself.", Link: agentsPage, Whose: Yours},
	"348":   {Words: "Your ngrok account allows no more programs to be connected at the same time.", Next: "Close ngrok on your other computers, or end a session in the list of agents. This is tried again by itself.", Link: agentsPage, Whose: Yours},
	"324":   {Words: "Your ngrok account allows no more addresses to be online at the same time.", Next: "Take another of your ngrok endpoints offline. This is tried again by itself.", Link: accountPage, Whose: Yours},
	"4026":  {Words: "The credit of your ngrok account is used up.", Next: "Choose a plan in your ngrok account, or wait for the next month.", Link: billingPage, Whose: Yours, Permanent: true},
	"8013":  {Words: "ngrok wants a payment card in your account before it opens this kind of address.", Next: "Use your account's own https domain, or add a card.", Link: billingPage, Whose: Yours, Permanent: true},
	"9009":  {Words: "Your ngrok plan does not allow to connect through a proxy.", Next: "Use a network without a proxy, or a tunnel of another kind.", Link: billingPage, Whose: Yours, Permanent: true},
	"9040":  {Words: "ngrok does not serve the country that your connection seems to come from.", Next: "Turn off a VPN if you use one. Otherwise use a tunnel of another kind.", Whose: Ngroks, Permanent: true},
	"22001": {Words: "ngrok does not serve the country that your connection seems to come from.", Next: "Turn off a VPN if you use one. Otherwise use a tunnel of another kind.", Whose: Ngroks, Permanent: true},

	// The address.
	"313":         {Words: "Your ngrok plan does not include a domain of your own.", Next: "Leave the address empty to use the domain that came with your account.", Link: domainsPage, Whose: Yours, Permanent: true},
	"314":         {Words: "Your ngrok plan does not include a name of your choice.", Next: "Leave the address empty to use the domain that came with your account.", Link: domainsPage, Whose: Yours, Permanent: true},
	"316":         {Words: "This authtoken may not open this address: it was limited to others in your ngrok account.", Next: "Allow the address for this authtoken in your ngrok dashboard, or paste another authtoken.", Link: authtokenPage, Whose: Yours, Permanent: true},
	"319":         {Words: "This domain does not belong to your ngrok account.", Next: "Look up your domain in your ngrok dashboard, or leave the address empty.", Link: domainsPage, Whose: Yours, Permanent: true},
	"320":         {Words: "This domain belongs to a different ngrok account.", Next: "Paste the authtoken of that account, or leave the address empty.", Link: domainsPage, Whose: Yours, Permanent: true},
	"334":         {Words: "Your address is still held by an earlier connection. This is common after sleep or a crash.", Next: "Nothing: it is tried again by itself.", Link: agentsPage, Whose: Ngroks},
	CauseHeldLong: {Words: "Another computer or another ngrok program of yours uses this address.", Next: "Close it there, or end its session in the list of agents. This is tried again by itself.", Link: agentsPage, Whose: Yours},
	"15013":       {Words: "Your ngrok account has no domain yet.", Next: "Open the list of domains in your ngrok dashboard, where one is made for you, then connect again.", Link: domainsPage, Whose: Yours, Permanent: true},
	"9036":        {Words: "ngrok does not understand this address.", Next: "Write it as https://your-name.ngrok-free.app, or leave it empty.", Link: domainsPage, Whose: Yours, Permanent: true},
	"9037":        {Words: "An ngrok address has no port.", Next: "Write it as https://your-name.ngrok-free.app, or leave it empty.", Link: domainsPage, Whose: Yours, Permanent: true},
	"9038":        {Words: "An ngrok address has nothing after the name.", Next: "Write it as https://your-name.ngrok-free.app, without a slash at the end, or leave it empty.", Link: domainsPage, Whose: Yours, Permanent: true},

	// The program.
	"120": {Words: "This version of Key2OAuth is too old for ngrok.", Next: "Install the newest version.", Link: releasesPage, Whose: Ours, Permanent: true},
	"121": {Words: "This version of Key2OAuth is too old for ngrok.", Next: "Install the newest version.", Link: releasesPage, Whose: Ours, Permanent: true},

	// What only clients see.
	"3200": {Words: "ngrok says that your address is offline, although this program is connected.", Next: "Wait half a minute, then connect again.", Whose: Ngroks},
	"3004": {Words: "ngrok reached this program but got no proper answer from it.", Next: "Connect again. If it stays like this, it is a fault in Key2OAuth: please report it.", Whose: Ours},
	"8012": {Words: "An ngrok program holds your address, and what it leads to does not run.", Next: "Close the other ngrok program, or end its session in the list of agents.", Link: agentsPage, Whose: Yours},
	"6024": {Words: "ngrok showed its warning page instead of passing the request on.", Next: "Nothing, if a browser asked: press Visit Site once. Apps do not see this page.", Whose: Ngroks},
	"725":  {Words: "Your ngrok account has sent all the data that its plan allows in a month.", Next: "Wait for the next month, or choose a larger plan. Apps on this computer work without the tunnel.", Link: billingPage, Whose: Yours, Permanent: true},
	"727":  {Words: "Your ngrok account has had all the requests that its plan allows in a month.", Next: "Wait for the next month, or choose a larger plan. Apps on this computer work without the tunnel.", Link: billingPage, Whose: Yours, Permanent: true},
	"702":  {Words: "Too many requests came in a minute, so ngrok turned some away.", Next: "Nothing: it ends by itself in a minute.", Whose: Ngroks},
	"703":  {Words: "Too many connections came in a minute, so ngrok turned some away.", Next: "Nothing: it ends by itself in a minute.", Whose: Ngroks},
	"715":  {Words: "Too many requests came in a minute, so ngrok turned some away.", Next: "Nothing: it ends by itself in a minute.", Whose: Ngroks},
	"734":  {Words: "Too many requests came in a minute, so ngrok turned some away.", Next: "Nothing: it ends by itself in a minute.", Whose: Ngroks},

	CauseUnknownCode: {Words: "ngrok refused, for a reason that this program does not know.", Next: "Look the code up in ngrok's documentation. This is tried again by itself.", Link: supportPage, Whose: Ngroks},

	// The way to ngrok.
	CauseOffline:      {Words: "This computer is not connected to a network.", Next: "Nothing: it goes on by itself when the network is back.", Whose: Network},
	CauseNoName:       {Words: "The address of ngrok could not be looked up. There may be no internet here, or this network blocks ngrok.", Next: "Open any web page to see whether the internet works. This is tried again by itself.", Whose: Network},
	CauseRefused:      {Words: "The connection to ngrok was refused on the way. This network may block it.", Next: "Try another network, or ask whoever runs this one to allow connect.ngrok-agent.com on port 443. This is tried again by itself.", Whose: Network},
	CauseUnreachable:  {Words: "There is no way to ngrok from this network.", Next: "Open any web page to see whether the internet works. This is tried again by itself.", Whose: Network},
	CauseSlow:         {Words: "ngrok did not answer in time. The network may be slow, or it blocks ngrok.", Next: "Nothing, at first: it is tried again by itself. If it stays like this, try another network.", Whose: Network},
	CauseIntercepted:  {Words: "Something between this computer and ngrok opens encrypted connections, so nothing was sent. Company networks and some virus scanners do that.", Next: "Add an exception for connect.ngrok-agent.com there, or use another network or a tunnel of another kind.", Whose: Network},
	CauseNotTLS:       {Words: "What answered in ngrok's place does not speak its language. This may be the login page of a hotel or airport network.", Next: "Open any web page and log in to the network. This is tried again by itself.", Whose: Network},
	CauseBroken:       {Words: "The connection to ngrok broke.", Next: "Nothing: it is tried again by itself.", Whose: Network},
	CauseSilent:       {Words: "The connection to ngrok went silent. This happens after sleep or a change of network.", Next: "Nothing: it is tried again by itself.", Whose: Network},
	CauseStopped:      {Words: "The tunnel was stopped from your ngrok dashboard.", Next: "Connect again when you want it back.", Whose: Yours, Permanent: true},
	CauseTakenOffline: {Words: "ngrok took your address offline.", Next: "Nothing: it is tried again by itself.", Link: accountPage, Whose: Ngroks},
	CauseRestarted:    {Words: "Your ngrok dashboard asked for a new connection.", Next: "Nothing: it is made by itself.", Whose: Yours},

	// A tunnel of the owner's own.
	CausePortTaken:  {Words: "The address for your tunnel is in use by another program.", Next: "Close that program, or choose another port here and in your tunnel's settings. This is tried again by itself.", Whose: Yours},
	CauseBadAddress: {Words: "This computer cannot listen on that address. It must be one of its own, such as 127.0.0.1:7451.", Next: "Correct the address for the tunnel.", Whose: Yours, Permanent: true},
	CauseBadURL:     {Words: "The public address must begin with https:// and have nothing after the name.", Next: "Write it as https://mcp.example.com.", Whose: Yours, Permanent: true},

	// What a self-test finds.
	CauseBadCert:       {Words: "The public address has no valid certificate, so apps refuse to connect.", Next: "Check the https settings of your tunnel.", Whose: Yours},
	CauseProbeHTML:     {Words: "A web page answered at the public address, not this program. The tunnel leads elsewhere, or something asks for a login first.", Next: "Check where your tunnel leads, and turn off any login in front of it.", Whose: Yours},
	CauseProbeOther:    {Words: "Something answered at the public address, but it was not this program.", Next: "Check where your tunnel leads.", Whose: Yours},
	CauseProbeHost:     {Words: "Your tunnel reaches this program, but under another name, or at another port than the one for tunnels.", Next: "Have it pass the Host header on as it is, and lead to the address shown here.", Whose: Yours},
	CauseProbeCF:       {Words: "Cloudflare answered instead of this program. A rule or its protection against bots stopped the request.", Next: "In your Cloudflare settings, turn off Bot Fight Mode and access rules for this name.", Whose: Yours},
	CauseProbeCFOrigin: {Words: "Cloudflare was reached, but your tunnel behind it was not.", Next: "Check that cloudflared runs, and that it leads to the address shown here.", Whose: Yours},
	CauseProbeLoop:     {Words: "Your tunnel answered that it cannot reach this program.", Next: "Check that it leads to the address shown here.", Whose: Yours},
	CauseProbeName:     {Words: "The name of the public address leads nowhere.", Next: "Check that you spelled it right. A name that was made just now may take some minutes.", Whose: Yours},
	CauseProbeNotTLS:   {Words: "What answers at the public address does not speak https.", Next: "Check the https settings of your tunnel.", Whose: Yours},
	CauseProbeRefused:  {Words: "Nothing takes connections at the public address.", Next: "Check that your tunnel runs.", Whose: Yours},
	CauseProbeSlow:     {Words: "The public address did not answer in time.", Next: "Try again. If it stays like this, check where your tunnel leads.", Whose: Network},
	CauseProbeBroken:   {Words: "The connection to the public address broke before an answer came.", Next: "Try again. If it stays like this, check where your tunnel leads.", Whose: Network},

	CauseServeEnded: {Words: "The public side of this program stopped by itself.", Next: "Nothing: it is started again. If it stays like this, it is a fault in Key2OAuth: please report it.", Whose: Ours},
	CauseUnknown:    {Words: "The tunnel could not be opened, for a reason that this program does not know.", Next: "Nothing: it is tried again by itself. The log has more.", Whose: Network},
}

// What is said when nothing is wrong.
const (
	offWords        = "There is no tunnel. Only apps on this computer can connect."
	pausedWords     = "The tunnel is paused. It opens again when you resume."
	connectingWords = "Connecting."
	onlineWords     = "Online."
	listeningWords  = "Waiting for your tunnel to pass requests on."
)
