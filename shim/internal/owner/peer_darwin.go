package owner

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// hidden is set while the kernel shows only our own sockets, or in a form that
// we do not know.
var hidden atomic.Bool

// ChecksUser reports whether connections are checked on this system.
func ChecksUser() bool { return !hidden.Load() }

// ownedByUs finds the socket at remote that is connected to local, and compares
// its user with ours. If the kernel does not tell, users cannot be told apart,
// so all are let through, or the owner's own browser would be refused; ChecksUser says so.
func ownedByUs(remote, local netip.AddrPort) error {
	list, err := unix.SysctlRaw("net.inet.tcp.pcblist_n")
	if err != nil {
		hidden.Store(true)
		return nil
	}
	uid, err := pcbUser(list, remote, local)
	hidden.Store(errors.Is(err, errPCBHidden) || errors.Is(err, errPCBFormat))
	switch {
	case hidden.Load():
		return nil
	case err != nil:
		return err
	case int(uid) != os.Geteuid():
		return fmt.Errorf("connection by user %d, not %d", uid, os.Geteuid())
	}
	return nil
}
