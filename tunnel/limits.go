package tunnel

// Limits are what a plan includes in a month.
type Limits struct {
	Requests int64
	Out      int64 // bytes
}

// plans are ngrok's, by the names that it reports in a session.
var plans = map[string]Limits{
	"Free":          {20_000, 1e9},
	"Hobbyist":      {100_000, 5e9},
	"Pay-as-you-go": {100_000, 5e9},
}

// LimitsOf returns the limits of one of ngrok's plans, and false for an unknown
// plan: a false warning would be worse than none.
func LimitsOf(plan string) (Limits, bool) {
	l, ok := plans[plan]
	return l, ok
}
