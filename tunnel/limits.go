package tunnel

// Limits are what a plan includes in a month.
type Limits struct {
	Requests int64
	Out      int64 // bytes
}

// plans are those of ngrok, by the names that it gives to a session.
var plans = map[string]Limits{
	"Free":          {20_000, 1e9},
	"Hobbyist":      {100_000, 5e9},
	"Pay-as-you-go": {100_000, 5e9},
}

// LimitsOf returns the limits of a plan of ngrok's. A name that is not known
// has none: to warn of a limit that is not there would be worse than not to
// warn.
func LimitsOf(plan string) (Limits, bool) {
	l, ok := plans[plan]
	return l, ok
}
