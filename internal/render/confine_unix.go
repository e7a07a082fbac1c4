//go:build unix && !linux

package render

// confineSystem has nothing to add: there the memory watch, the limits and the empty environment are all there is.
func confineSystem(limits) error { return nil }
