package render

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memorySlack is what the process may map beyond its memory limit before the kernel refuses: room for the watch to be late.
const memorySlack = 128 << 20

func confineSystem(l limits) error {
	mapped, err := mappedData()
	if err != nil {
		return err
	}
	if err := lower(unix.RLIMIT_DATA, mapped+uint64(l.Memory)+memorySlack); err != nil {
		return err
	}
	return filterSystemCalls()
}

// mappedData is VmData of proc(5): the bytes that RLIMIT_DATA counts.
func mappedData() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, nil // no /proc: the limit then counts from zero
	}
	for line := range bytes.Lines(status) {
		fields := bytes.Fields(line)
		if len(fields) >= 2 && string(fields[0]) == "VmData:" {
			kb, err := strconv.ParseUint(string(fields[1]), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read VmData: %w", err)
			}
			return kb << 10, nil
		}
	}
	return 0, nil
}

// filterSystemCalls denies, from now on and for every thread, the system calls that would reach a file, a program, another
// process or the network; they fail with EPERM. A system that has or allows no filters is no error: this is one wall of several.
func filterSystemCalls() error {
	if auditArch == 0 {
		return nil
	}
	filter := seccompFilter()
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}

	runtime.LockOSThread() // prctl is per thread; the filter below is then given to all threads
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return unlessMissing("set no_new_privs", err)
	}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return unlessMissing("filter system calls", errno)
	}
	if thread != 0 {
		return fmt.Errorf("filter system calls: thread %d refuses", thread)
	}
	return nil
}

// unlessMissing drops the errors by which a system says that it does not offer something.
func unlessMissing(what string, err error) error {
	for _, missing := range []error{unix.ENOSYS, unix.EINVAL, unix.EPERM, unix.EACCES} {
		if errors.Is(err, missing) {
			return nil
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// seccompFilter is a classic BPF program over struct seccomp_data of seccomp(2): int nr at 0, __u32 arch at 4.
func seccompFilter() []unix.SockFilter {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		least = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		ret   = unix.BPF_RET | unix.BPF_K
		deny  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
		x32   = 0x40000000 // system calls of the x32 ABI of amd64; no other architecture has numbers this high
	)
	filter := []unix.SockFilter{
		{Code: load, K: 4},
		{Code: equal, K: auditArch, Jt: 1},
		{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: load, K: 0},
		{Code: least, K: x32, Jf: 1},
		{Code: ret, K: deny},
	}
	for _, nr := range deniedCalls() {
		filter = append(filter,
			unix.SockFilter{Code: equal, K: nr, Jf: 1},
			unix.SockFilter{Code: ret, K: deny})
	}
	return append(filter, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
}

// deniedCalls are the same on every architecture; archCalls adds the older forms that some have.
func deniedCalls() []uint32 {
	return append([]uint32{
		unix.SYS_EXECVE, unix.SYS_EXECVEAT,
		unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_SENDTO, unix.SYS_SENDMSG,
		unix.SYS_IO_URING_SETUP,
		unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_OPEN_BY_HANDLE_AT,
		unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_UNLINKAT, unix.SYS_LINKAT, unix.SYS_SYMLINKAT,
		unix.SYS_RENAMEAT2, unix.SYS_FCHMODAT, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT, unix.SYS_TRUNCATE,
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_UNSHARE, unix.SYS_SETNS,
		unix.SYS_PTRACE, unix.SYS_KILL, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD,
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
		unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_REBOOT,
		unix.SYS_SHMGET, unix.SYS_MSGGET, unix.SYS_SEMGET, unix.SYS_MQ_OPEN, unix.SYS_MEMFD_CREATE,
	}, archCalls()...)
}
