package endpoint

// A Trouble is why Key2OAuth does not pass a call on, though the server has said
// nothing against its key. One function gives the words for it, so apps, pages
// and the log blame the same thing.
type Trouble string

// The troubles. Those of a key end when the key is pasted again.
const (
	NoTrouble       Trouble = ""
	TroubleKeychain Trouble = "key keychain" // the key is sealed under a master key that the keychain does not hold
	TroubleAddress  Trouble = "key address"  // the key was dropped with the address it was pasted for
	TroubleDamaged  Trouble = "key damaged"  // the record of the key cannot be read
	TroubleGone     Trouble = "key gone"     // the key was deleted

	TroublePaused       Trouble = "paused"
	TroubleQuitting     Trouble = "quitting"
	TroubleDisconnected Trouble = "disconnected" // the app was, or its token has ended
	TroubleCut          Trouble = "cut"          // the way the call came was closed, as when the owner goes offline
)

// OfKey reports whether pasting the key again ends the trouble.
func (t Trouble) OfKey() bool {
	switch t {
	case TroubleKeychain, TroubleAddress, TroubleDamaged, TroubleGone:
		return true
	}
	return false
}

// Words says what is wrong, in a sentence for people.
func (t Trouble) Words() string {
	switch t {
	case TroubleKeychain:
		return "The keychain doesn't hold the encryption key that this API key was saved with."
	case TroubleAddress:
		return "The server's address was changed, so its API key was deleted."
	case TroubleDamaged:
		return "The saved API key is damaged and can't be read."
	case TroubleGone:
		return "The API key was deleted from Key2OAuth."
	case TroublePaused:
		return "Key2OAuth is paused on its owner's computer."
	case TroubleQuitting:
		return "Key2OAuth is quitting on its owner's computer."
	case TroubleDisconnected:
		return "The app's access has ended: it was disconnected, or its token is too old."
	case TroubleCut:
		return "The connection to Key2OAuth was closed on its owner's computer."
	}
	return ""
}

// Next says to the owner what to do; it is empty where nothing can be done
// here.
func (t Trouble) Next() string {
	switch {
	case t.OfKey():
		return "Paste the key again."
	case t == TroublePaused:
		return "Press Resume."
	}
	return ""
}

// ToApp is what the person behind an app reads, wherever that person is.
func (t Trouble) ToApp() string {
	switch t {
	case TroublePaused:
		return t.Words() + " Calls go through again when it is resumed."
	case TroubleQuitting, TroubleCut:
		return t.Words() + " Calls go through again when it is back."
	case TroubleDisconnected:
		return t.Words() + " Connect the app again if it should have access."
	}
	return t.Words() + " Open Key2OAuth on your computer to paste the key again."
}
