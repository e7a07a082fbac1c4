package render

import "syscall"

// isolated is the attributes of a child that the system lets have its own network namespace, which has no interface that is up.
// The user namespace is what allows it to an ordinary user.
func isolated() (*syscall.SysProcAttr, bool) {
	return &syscall.SysProcAttr{
		Setpgid:    true,
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
	}, true
}
