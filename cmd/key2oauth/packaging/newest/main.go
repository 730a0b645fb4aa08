// Newest writes the signed document that says what the newest release is, for
// the address that a build looks at. The key is an Ed25519 seed in base64, in
// the environment, so that it is in no command line:
//
//	KEY2OAUTH_RELEASE_SEED=… go run ./cmd/key2oauth/packaging/newest -version 1.2.3
//
// It has to be written again at least every 60 days, also without a release:
// an older one counts as no answer. With -public it prints the public key, which
// goes into the build.
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/key2oauth/key2oauth/shim/release"
)

func main() {
	version := flag.String("version", "", "the newest `version`, without a v")
	public := flag.Bool("public", false, "print the public key instead")
	flag.Parse()
	if err := run(*version, *public); err != nil {
		fmt.Fprintln(os.Stderr, "newest:", err)
		os.Exit(1)
	}
}

func run(version string, public bool) error {
	seed, err := base64.StdEncoding.DecodeString(os.Getenv("KEY2OAUTH_RELEASE_SEED"))
	if err != nil || len(seed) != ed25519.SeedSize {
		return errors.New("KEY2OAUTH_RELEASE_SEED is not 32 bytes in base64")
	}
	key := ed25519.NewKeyFromSeed(seed)
	if public {
		fmt.Println(base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)))
		return nil
	}
	b, err := release.Sign(release.Document{Version: version, Date: time.Now()}, key)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(b)
	return err
}
