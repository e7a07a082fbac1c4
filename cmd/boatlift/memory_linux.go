package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// dropProgram lets go of the pages of the program's file that are mapped into memory and were never changed. The kernel maps sixteen around
// each that is touched, so after a start it is nearly all of them.
func dropProgram() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("find the program's file: %w", err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("find the program in memory: %w", err)
	}
	for line := range strings.Lines(string(maps)) {
		from, size, ok := unchanging(line, program)
		if !ok {
			continue
		}
		if _, _, no := syscall.Syscall(syscall.SYS_MADVISE, from, size, syscall.MADV_DONTNEED); no != 0 {
			return fmt.Errorf("let go of the program's pages: %w", no)
		}
	}
	return nil
}

// unchanging reads a line of /proc/self/maps, and tells of a part of a file that nobody can write to in memory.
func unchanging(line, file string) (from, size uintptr, ok bool) {
	f := strings.Fields(line)
	if len(f) != 6 || f[5] != file || f[1] != "r-xp" && f[1] != "r--p" {
		return 0, 0, false
	}
	low, high, _ := strings.Cut(f[0], "-")
	begin, err := strconv.ParseUint(low, 16, strconv.IntSize)
	end, err2 := strconv.ParseUint(high, 16, strconv.IntSize)
	if err != nil || err2 != nil || end <= begin {
		return 0, 0, false
	}
	return uintptr(begin), uintptr(end - begin), true
}
