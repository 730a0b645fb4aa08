package shim

import "github.com/key2oauth/key2oauth/shim/internal/vault"

// StoredAddr is the loopback address that apps on this computer know, while no
// program serves it. It is "" if none ever did, and an error is a sentence for
// people about the data folder. Nothing in that is changed.
func StoredAddr(dir string) (string, error) {
	if !vault.Exists(dir) {
		return "", nil
	}
	v, err := vault.Open(vault.Config{Dir: dir})
	if err != nil {
		return "", err
	}
	b, _ := v.Setting(settingAddr)
	return string(b), v.Close()
}
