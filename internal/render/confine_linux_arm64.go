package render

import "golang.org/x/sys/unix"

const auditArch uint32 = unix.AUDIT_ARCH_AARCH64

func archCalls() []uint32 { return []uint32{unix.SYS_RENAMEAT} }
