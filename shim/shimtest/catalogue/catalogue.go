// Package catalogue gives tests outside shim the sentences that people read, so
// tests compare with those and not with copies. The sentences of pages are in
// package shimtest, and those about the tunnel in package tunnel.
package catalogue

import (
	"github.com/key2oauth/key2oauth/shim/internal/doctor"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/proxy"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// What the doctor finds, and says to do.
const (
	WhatRevoke = doctor.WhatRevoke // the last step of a sign-in

	TextDiskLow = doctor.TextDiskLow // takes the megabytes that are free
	NextDisk    = doctor.NextDisk
	NextResume  = doctor.NextResume
	NextUnlock  = doctor.NextUnlock
	NextClock   = doctor.NextClock

	TextBots        = doctor.TextBots
	NextBots        = doctor.NextBots
	TextNoChallenge = doctor.TextNoChallenge
	TextNoToken     = doctor.TextNoToken
	NextPassHeader  = doctor.NextPassHeader
	TextHeldBack    = doctor.TextHeldBack
	NextHeldBack    = doctor.NextHeldBack
	NextNgrokPage   = doctor.NextNgrokPage

	NextKeyless     = doctor.NextKeyless
	NextHeader      = doctor.NextHeader
	NextRejected    = doctor.NextRejected
	NextNotMCP      = doctor.NextNotMCP
	NextAddress     = doctor.NextAddress
	NextBusy        = doctor.NextBusy
	NextName        = doctor.NextName
	NextPlain       = doctor.NextPlain
	NextCertificate = doctor.NextCertificate
	NextServer      = doctor.NextServer
)

// What the owner and apps are told when something is wrong.
const (
	TextKeyRejected = proxy.TextRejected
	TextUseHTTPS    = endpoint.TextUseHTTPS
	TextNotExported = endpoint.TextNotExported
)

// The headings of reports as text, by the names that findings have for them.
var (
	ReportGroups = web.ReportGroups
	ReportMarks  = web.ReportMarks
	ReportWhose  = web.ReportWhose
	ReportNext   = web.ReportNext
)

// How things stand, as every surface says it.
var (
	ServerState   = web.ServerState
	InternetState = web.InternetState
)

// Cause returns what a timeline says about a cause, and what to do, for an app
// as people know it.
func Cause(cause, app string) (words, next string) {
	return timeline.Words(cause, timeline.Attempt{App: app})
}
