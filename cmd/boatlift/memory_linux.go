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
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("find the program in memory: %w", err)
	}
	for _, part := range neverWritten(string(maps), program) {
		from, size := part[0], part[1]
		if _, _, no := syscall.Syscall(syscall.SYS_MADVISE, from, size, syscall.MADV_DONTNEED); no != 0 {
			return fmt.Errorf("let go of the program's pages: %w", no)
		}
	}
	return nil
}

// neverWritten are the parts of a file in memory that nobody can write to, and nobody did: beginning and size. What cannot be written to now may
// have been until the program was linked, as its table of addresses in the C library where it has one: let go of, that would be lost.
func neverWritten(smaps, file string) (parts [][2]uintptr) {
	candidate, clean := false, 0
	for line := range strings.Lines(smaps) {
		if key, value, about := strings.Cut(line, ":"); about && !strings.ContainsAny(key, " -") {
			switch key {
			case "Anonymous", "Swap", "Private_Dirty":
				if strings.TrimSpace(value) == "0 kB" {
					clean++
				}
			case "VmFlags": // the last line of a part
				if candidate && clean < 3 {
					parts = parts[:len(parts)-1]
				}
				candidate = false
			}
			continue
		}
		from, size, ok := unchanging(line, file)
		if candidate, clean = ok, 0; ok {
			parts = append(parts, [2]uintptr{from, size})
		}
	}
	if candidate { // it has no end
		parts = parts[:len(parts)-1]
	}
	return parts
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
