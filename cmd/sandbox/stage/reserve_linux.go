package stage

import (
	"fmt"
	"os"
	"sync"
	"syscall"
)

// reserve takes a free port of this machine until release is called: nobody is given it by the system, and who names it may listen there.
// A bot that is started anew so finds its address free, whatever was started meanwhile. Linux allows that for a socket that is bound and
// does not listen, see SO_REUSEADDR in socket(7).
func reserve() (address string, release func() error, err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("reserve a port: %w", os.NewSyscallError("socket", err))
	}
	defer func() {
		if err != nil {
			_ = syscall.Close(fd)
		}
	}()
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return "", nil, fmt.Errorf("reserve a port: %w", os.NewSyscallError("setsockopt", err))
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", nil, fmt.Errorf("reserve a port: %w", os.NewSyscallError("bind", err))
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		return "", nil, fmt.Errorf("reserve a port: %w", os.NewSyscallError("getsockname", err))
	}
	at, ok := bound.(*syscall.SockaddrInet4)
	if !ok {
		return "", nil, fmt.Errorf("reserve a port: it was bound to %T", bound)
	}
	return fmt.Sprintf("127.0.0.1:%d", at.Port), sync.OnceValue(func() error { return syscall.Close(fd) }), nil
}
