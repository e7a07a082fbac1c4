//go:build unix && !linux

package render

import "syscall"

// isolated reports that the system has no namespaces.
func isolated() (*syscall.SysProcAttr, bool) { return nil, false }
