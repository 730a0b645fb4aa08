package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/tc-hib/winres"
	"github.com/tc-hib/winres/version"

	"github.com/key2oauth/key2oauth/icons"
)

// resources writes what the linker puts into the programs for Windows: the
// icon, the version that Explorer shows, and the manifest, which asks for no
// more rights than the user has.
func (r release) resources() error {
	icon, err := winres.LoadICO(bytes.NewReader(icons.AppICO()))
	if err != nil {
		return err
	}
	var rs winres.ResourceSet
	if err := rs.SetIcon(winres.Name("APP"), icon); err != nil {
		return err
	}
	rs.SetManifest(winres.AppManifest{
		Identity:            winres.AssemblyIdentity{Name: "Key2OAuth", Version: r.numbers()},
		Description:         "Key2OAuth",
		Compatibility:       winres.Win10AndAbove,
		ExecutionLevel:      winres.AsInvoker,
		DPIAwareness:        winres.DPIPerMonitorV2,
		LongPathAware:       true,
		UseCommonControlsV6: true,
	})
	vi := version.Info{FileVersion: r.numbers(), ProductVersion: r.numbers()}
	for key, value := range map[string]string{
		version.CompanyName:     "Key2OAuth",
		version.ProductName:     "Key2OAuth",
		version.FileDescription: "Key2OAuth", // the name that the Task Manager shows
		version.FileVersion:     r.version,
		version.ProductVersion:  r.version,
		version.LegalCopyright:  "MIT License",
	} {
		if err := vi.Set(version.LangDefault, key, value); err != nil {
			return err
		}
	}
	rs.SetVersionInfo(vi)
	for _, arch := range []winres.Arch{winres.ArchAMD64, winres.ArchARM64} {
		var object bytes.Buffer
		if err := rs.WriteObject(&object, arch); err != nil {
			return err
		}
		name := filepath.Join(program, fmt.Sprintf("resources_windows_%s.syso", arch))
		if err := os.WriteFile(name, object.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// numbers is the version as Windows compares it.
func (r release) numbers() (v [4]uint16) {
	m := versionForm.FindStringSubmatch(r.version)
	for i := range 3 {
		fmt.Sscan(m[i+1], &v[i])
	}
	return v
}

// selfSigned makes the certificate that a snapshot is signed with. It is not
// kept, and no system trusts it.
func selfSigned() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "Key2OAuth snapshot, not to be trusted"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(0, 0, 30),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	file := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	file = append(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	return os.WriteFile(filepath.Join(out, "snapshot.pem"), file, 0o600)
}
