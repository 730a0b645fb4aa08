package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

var faultSeed = flag.Uint64("seed", 0, "of the tests that do things at random instants; 0 takes one of the clock")

const (
	faultKills   = 200 // kills of the program
	faultInWork  = 150 // of these, how many must cut off a login or a refresh
	faultClients = 6   // clients that sign in and refresh all the time

	// A code and a replaced refresh token stay valid for at least five minutes.
	// Those that are nearly that old are not tried.
	faultLifetime = 4 * time.Minute
)

// chooseSeed returns the seed of a test that does things at random instants.
func chooseSeed(t *testing.T) uint64 {
	seed := *faultSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", seed)
	return seed
}

// TestT02T03T08T14T16KilledAtAnyInstant kills the program over and over while
// several clients sign in and refresh. A request without a response may or may
// not have been handled. A response must have been saved: tokens work, codes
// work once, and a client whose refresh was cut off can still use its token.
func TestT02T03T08T14T16KilledAtAnyInstant(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	seed := chooseSeed(t)
	rng := rand.New(rand.NewPCG(seed, 0))

	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	a := startWith(t, &app{addr: quietAddr(t, rng)})
	e := a.addEndpoint("Linear", up.URL, "")
	f := newFault(t, a)
	clients := make([]*faultClient, faultClients)
	var working sync.WaitGroup
	for i := range clients {
		clients[i] = f.newClient(e.Local, up.Key(), rand.New(rand.NewPCG(seed, uint64(i)+1)))
	}
	defer working.Wait()
	defer f.finish()
	for _, c := range clients {
		working.Go(c.work)
	}

	begin := time.Now()
	kills, inWork := 0, 0
	cut := make(map[string]int)
	for kills < faultKills && !t.Failed() {
		if kills%4 == 0 {
			f.waitForTokens() // on a busy machine no login would ever finish
		}
		time.Sleep(rand.N(150 * time.Millisecond))
		f.kill()
		kills++
		if f.last.addTo(cut) {
			inWork++
		}
		f.start()
	}
	f.stop()
	working.Wait()
	t.Logf("%d kills in %v, in %d of them a login or refresh was in flight; requests cut: %v", kills, time.Since(begin).Round(time.Second), inWork, cut)
	if t.Failed() {
		return
	}
	if inWork < faultInWork {
		t.Errorf("a login or refresh was in flight in %d of %d kills, want %d at least", inWork, kills, faultInWork)
	}
	checkFaults(t, f, clients)
}

// checkFaults tries everything that the clients ever received.
func checkFaults(t *testing.T, f *fault, clients []*faultClient) {
	t.Helper()
	var n faultCount
	begin := time.Now()
	each := func(what func(*faultClient, *faultCount)) {
		counts := make([]faultCount, len(clients))
		var wg sync.WaitGroup
		for i, c := range clients {
			wg.Go(func() { what(c, &counts[i]) })
		}
		wg.Wait()
		for _, c := range counts {
			n.add(c)
		}
	}
	each((*faultClient).tryTokens)
	each((*faultClient).redeemKept)
	f.checkGrants(clients, "before the codes are replayed")
	each((*faultClient).replayCodes)
	f.checkGrants(clients, "after the codes were replayed")
	t.Logf("tried in %v: %+v", time.Since(begin).Round(time.Second), n)
	if n.AccessTokens == 0 || n.Newest == 0 || n.Replaced == 0 || n.KeptCodes == 0 || n.Replayed == 0 {
		t.Error("nothing was tried of one kind, so nothing was proven")
	}
}

// quietAddr finds a port below the range for outgoing connections. A connection
// from that range could take the port during one of many restarts.
func quietAddr(t testing.TB, rng *rand.Rand) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 15_000+rng.IntN(15_000))
		if ln, err := net.Listen("tcp", addr); err == nil {
			ln.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}
