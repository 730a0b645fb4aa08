// Sbom writes what a program is made of, as SPDX 2.3 in JSON. It reads the
// modules from the program itself, as "go version -m" does, so that the list is
// of what was linked. Goreleaser runs it for each program of a release:
//
//	go run ./cmd/key2oauth/packaging/sbom -o FILE -name NAME -version V -date SECONDS PROGRAM
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/licenses"
)

func main() {
	out := flag.String("o", "", "the `file` to write")
	name := flag.String("name", "", "what the list is of")
	version := flag.String("version", "", "the release's `version`, without a v")
	date := flag.Int64("date", 0, "the release's time, in `seconds` since 1970")
	flag.Parse()
	if err := run(*out, *name, *version, time.Unix(*date, 0).UTC(), flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// A document is the part of SPDX 2.3 that is written here. The names of its
// fields are those of the specification's Annex on JSON.
type document struct {
	SPDXVersion       string         `json:"spdxVersion"`
	DataLicense       string         `json:"dataLicense"`
	SPDXID            string         `json:"SPDXID"`
	Name              string         `json:"name"`
	DocumentNamespace string         `json:"documentNamespace"`
	CreationInfo      creation       `json:"creationInfo"`
	Packages          []spdxPackage  `json:"packages"`
	Relationships     []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	SPDXID           string     `json:"SPDXID"`
	Name             string     `json:"name"`
	VersionInfo      string     `json:"versionInfo,omitempty"`
	DownloadLocation string     `json:"downloadLocation"`
	FilesAnalyzed    bool       `json:"filesAnalyzed"`
	LicenseConcluded string     `json:"licenseConcluded"`
	LicenseDeclared  string     `json:"licenseDeclared"`
	CopyrightText    string     `json:"copyrightText"`
	PackageFileName  string     `json:"packageFileName,omitempty"`
	PrimaryPurpose   string     `json:"primaryPackagePurpose,omitempty"`
	Checksums        []checksum `json:"checksums,omitempty"`
	ExternalRefs     []ref      `json:"externalRefs,omitempty"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type ref struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

const (
	self   = "SPDXRef-DOCUMENT"
	source = "https://github.com/key2oauth/key2oauth"
	none   = "NOASSERTION" // SPDX's word for an unknown value
)

// notID are the characters that an SPDX identifier cannot have.
var notID = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

func run(out, name, version string, date time.Time, program string) error {
	b, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	known, err := licenses.All()
	if err != nil {
		return err
	}
	license := make(map[string]string)
	for _, m := range known {
		license[m.Path] = m.SPDX
	}
	sum := sha256.Sum256(b)
	main := spdxPackage{
		SPDXID: "SPDXRef-key2oauth", Name: "key2oauth", VersionInfo: version, DownloadLocation: source,
		LicenseConcluded: "MIT", LicenseDeclared: "MIT", CopyrightText: none,
		PackageFileName: filepath.Base(program), PrimaryPurpose: "APPLICATION",
		Checksums: []checksum{{"SHA256", hex.EncodeToString(sum[:])}},
	}
	d := document{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: self, Name: name,
		// The same program always has the same list.
		DocumentNamespace: source + "/spdx/" + name + "-" + hex.EncodeToString(sum[:8]),
		CreationInfo:      creation{date.Format(time.RFC3339), []string{"Tool: key2oauth-sbom", "Organization: Key2OAuth"}},
		Packages:          []spdxPackage{main},
		Relationships:     []relationship{{self, "DESCRIBES", main.SPDXID}},
	}
	add := func(path, version, license, locator string) {
		id := "SPDXRef-" + notID.ReplaceAllString(path, "-")
		d.Packages = append(d.Packages, spdxPackage{
			SPDXID: id, Name: path, VersionInfo: version, DownloadLocation: none,
			LicenseConcluded: none, LicenseDeclared: license, CopyrightText: none,
			PrimaryPurpose: "LIBRARY", ExternalRefs: []ref{{"PACKAGE-MANAGER", "purl", locator}},
		})
		d.Relationships = append(d.Relationships, relationship{main.SPDXID, "DEPENDS_ON", id})
	}
	add("stdlib", info.GoVersion, "BSD-3-Clause", "pkg:golang/stdlib@"+info.GoVersion)
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		if license[m.Path] == "" {
			return fmt.Errorf("%s has no license in the list; run go generate ./cmd/key2oauth/internal/licenses", m.Path)
		}
		add(m.Path, m.Version, license[m.Path], "pkg:golang/"+m.Path+"@"+m.Version)
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(text, '\n'), 0o644)
}
