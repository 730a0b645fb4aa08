package e2e

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A clock is the wall clock of one program, which can be set like that of a
// whole machine, while the machine's own stays as it is: time zones and sleep
// are no substitute, and a library to preload does not reach Go programs,
// which ask the kernel themselves. They do so in the code that the kernel maps
// into every process, the vDSO. There the question is led to a few
// instructions of ours, which ask the kernel and add an offset. What measures
// durations, the monotonic clock, goes on as on a machine whose clock is set.
type clock struct {
	t      testing.TB
	pid    int
	ahead  time.Duration
	offset int64 // where in the program's memory the seconds are
}

// ask is what clock_gettime becomes: the system call, and for CLOCK_REALTIME
// the seconds at its end on top.
var ask = []byte{
	0xb8, 0xe4, 0x00, 0x00, 0x00, // mov eax, SYS_clock_gettime
	0x0f, 0x05, // syscall
	0x85, 0xff, // test edi, edi
	0x75, 0x0a, // jnz ret
	0x48, 0x8b, 0x0d, 0x06, 0x00, 0x00, 0x00, // mov rcx, [seconds]
	0x48, 0x01, 0x0e, // add [rsi], rcx
	0xc3,       // ret
	0x00, 0x00, // up to a multiple of 8
	0, 0, 0, 0, 0, 0, 0, 0, // seconds
}

// begin starts cmd with the clock as it is set. It is what app.begin wants.
func (c *clock) begin(cmd *exec.Cmd) error {
	// The program stops before its first instruction, for the thread that
	// started it to look into.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Ptrace = true
	if err := cmd.Start(); err != nil {
		return err
	}
	c.pid = cmd.Process.Pid
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(c.pid, &status, 0, nil); err != nil {
		return err
	}
	if !status.Stopped() {
		return fmt.Errorf("the program did not stop at its start: %v", status)
	}
	if err := c.install(); err != nil {
		cmd.Process.Kill()
		return err
	}
	return syscall.PtraceDetach(c.pid)
}

// install changes the vDSO of the program, which is a copy of its own once it
// is written to.
func (c *clock) install() error {
	start, vdso, err := c.vdso()
	if err != nil {
		return err
	}
	f, err := elf.NewFile(bytes.NewReader(vdso))
	if err != nil {
		return err
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return err
	}
	entry := uint64(0)
	for _, s := range symbols {
		if s.Name == "__vdso_clock_gettime" {
			entry = s.Value
		}
	}
	if entry == 0 || entry+5 > uint64(len(vdso)) {
		return errors.New("the vDSO has no clock_gettime")
	}
	// What is left of its last page is empty, and may be executed as well.
	used := bytes.TrimRight(vdso, "\x00")
	at := (len(used) + 64) &^ 7
	if at+len(ask) > len(vdso) {
		return errors.New("the vDSO has no room")
	}
	jump := binary.LittleEndian.AppendUint32([]byte{0xe9}, uint32(at-int(entry)-5))
	c.offset = start + int64(at+len(ask)-8)
	return errors.Join(c.write(start+int64(at), ask), c.write(start+int64(entry), jump), c.store())
}

// vdso finds and reads the vDSO.
func (c *clock) vdso() (start int64, image []byte, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", c.pid))
	if err != nil {
		return 0, nil, err
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			continue
		}
		from, rest, _ := strings.Cut(line, "-")
		to, _, _ := strings.Cut(rest, " ")
		begin, err1 := strconv.ParseInt(from, 16, 64)
		end, err2 := strconv.ParseInt(to, 16, 64)
		if err := errors.Join(err1, err2); err != nil {
			return 0, nil, err
		}
		mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", c.pid))
		if err != nil {
			return 0, nil, err
		}
		defer mem.Close()
		image := make([]byte, end-begin)
		_, err = mem.ReadAt(image, begin)
		return begin, image, err
	}
	return 0, nil, errors.New("the program has no vDSO")
}

func (c *clock) write(at int64, b []byte) error {
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", c.pid), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	_, err = mem.WriteAt(b, at)
	return err
}

func (c *clock) store() error {
	return c.write(c.offset, binary.LittleEndian.AppendUint64(nil, uint64(c.ahead/time.Second)))
}

// set puts the clock ahead of the machine's, or with a negative duration
// behind it. It holds for later starts too.
func (c *clock) set(ahead time.Duration) {
	c.t.Helper()
	c.ahead = ahead
	if err := c.store(); err != nil {
		c.t.Fatal(err)
	}
}
