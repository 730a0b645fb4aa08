package panel

import (
	"context"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	user32            = windows.NewLazySystemDLL("user32.dll")
	findWindow        = user32.NewProc("FindWindowW")
	postThreadMessage = user32.NewProc("PostThreadMessageW")
)

// Follow reports whether there is a taskbar, and closes shown once there is. A
// program that starts at login may run before the taskbar, and the systray
// package would fail for good. If the taskbar restarts, that package recovers.
func Follow(ctx context.Context, group *sync.WaitGroup, report func(bool), _ func()) (shown <-chan struct{}, err error) {
	first := make(chan struct{})
	if taskbarIsThere() {
		report(true)
		close(first)
		return first, nil
	}
	report(false)
	group.Go(func() {
		for !taskbarIsThere() {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return
			}
		}
		report(true)
		close(first)
	})
	return first, nil
}

func taskbarIsThere() bool {
	class, err := syscall.UTF16PtrFromString("Shell_TrayWnd")
	if err != nil {
		return false
	}
	window, _, _ := findWindow.Call(uintptr(unsafe.Pointer(class)), 0)
	return window != 0
}

// EndLoop ends this thread's message loop with ctx. The systray package sends
// a message to its window for that, but has no window if the taskbar refused
// it.
func EndLoop(ctx context.Context) (stop func()) {
	const quit = 0x0012 // WM_QUIT
	thread := windows.GetCurrentThreadId()
	undo := context.AfterFunc(ctx, func() {
		time.Sleep(time.Second) // gives the usual way, which removes the icon, a chance
		postThreadMessage.Call(uintptr(thread), quit, 0, 0)
	})
	return func() { undo() }
}
