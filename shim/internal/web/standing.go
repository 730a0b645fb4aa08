package web

import "strings"

// The words for how things stand. Package standing decides which of them are
// shown, and everything that shows a state shows these.

// States that are not among those of an api.Endpoint.
const (
	StatePaused    = "paused"
	StateKeyWanted = "key wanted" // the server asks for a key, and none is saved
)

// UrgentKeepInFile is the kind of the button that keeps the encryption key in a
// file, where there is no keychain.
const UrgentKeepInFile = "memory file"

func stateKey(state string) string { return strings.ReplaceAll(state, " ", "-") }

// ServerState names the state of a server: "Working".
func ServerState(state string) string { return t("server." + stateKey(state)) }

// ServerWhy is a sentence about the state of a server; "" if its name says all.
func ServerWhy(state string) string { return known("why." + stateKey(state)) }

// InternetState names the state of the internet: "Online".
func InternetState(state string) string { return t("internet." + stateKey(state)) }

// UrgentWords says what a concern of a kind is, with the names in it.
func UrgentWords(kind string, names ...string) string {
	args := make([]any, len(names))
	for i, n := range names {
		args[i] = name(n)
	}
	return t("urgent."+stateKey(kind), args...)
}

// UrgentButton is the label of the button that helps with a concern.
func UrgentButton(kind string) string { return known("urgent.button." + stateKey(kind)) }

// RequestsWait says that so many requests wait for an answer.
func RequestsWait(n int) string {
	if n == 1 {
		return t("urgent.request")
	}
	return t("urgent.requests", n)
}

// known is a text, or "" if there is none.
func known(key string) string {
	if _, ok := text[key]; !ok {
		return ""
	}
	return t(key)
}
