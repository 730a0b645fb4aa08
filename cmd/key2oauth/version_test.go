package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/cli"
	"github.com/key2oauth/key2oauth/shim/release"
)

func TestRuntimeNote(t *testing.T) {
	for v, want := range map[string]bool{
		"go1.26.8": true, "go1.26": true, "go1.26rc1": true, "go1.26.9 X:nocoverageredesign": true,
		"go1.26.10": false, "go1.26.10 X:boringcrypto": false, "go1.26.11": false, "go1.27rc1": false, "devel go1.27-abcdef": false,
	} {
		if got := runtimeNote(v) != ""; got != want {
			t.Errorf("runtimeNote(%q) warns: %t, want %t", v, got, want)
		}
	}
}

// TestOldestRuntime: the version stands in go.mod and a second time here.
func TestOldestRuntime(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^go (.+)$`).FindSubmatch(b)
	if m == nil || "go"+string(m[1]) != oldestRuntime {
		t.Errorf("go.mod says %q, oldestRuntime %q", m, oldestRuntime)
	}
}

// TestCheckVersion: a build without an address does not ask; one with an address
// believes what is signed.
func TestCheckVersion(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))
	var document []byte
	asked := 0
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Write(document)
	}))
	defer srv.Close()
	was := [3]string{releaseVersion, releaseURL, releaseKey}
	defer func() { releaseVersion, releaseURL, releaseKey = was[0], was[1], was[2] }()
	check := func() (string, error) {
		var stderr bytes.Buffer
		p := &program{Program: cli.Program{Stdout: &stderr, Stderr: &stderr}}
		err := p.checkVersion(context.Background(), srv.Client())
		return stderr.String(), err
	}
	releaseVersion, releaseURL, releaseKey = "1.2.3", "", ""
	if _, err := check(); err == nil || asked > 0 {
		t.Errorf("without an address: %v, and %d requests", err, asked)
	}
	releaseURL, releaseKey = srv.URL, base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	for _, tt := range []struct {
		version string
		newer   bool
	}{{"1.2.4", true}, {"1.2.3", false}, {"1.0.0", false}} {
		var err error
		if document, err = release.Sign(release.Document{Version: tt.version, Date: time.Now()}, key); err != nil {
			t.Fatal(err)
		}
		said, err := check()
		if err != nil || strings.Contains(said, "version "+tt.version+" is available") != tt.newer {
			t.Errorf("newest is %s: %q, %v", tt.version, said, err)
		}
	}
	document = []byte("version 9.9.9")
	if said, err := check(); err == nil || strings.Contains(said, "9.9.9") {
		t.Errorf("without a signature: %q, %v", said, err)
	}
}
