//go:build !linux

package main

// dropProgram does nothing: only Linux counts the program's own pages.
func dropProgram() error { return nil }
