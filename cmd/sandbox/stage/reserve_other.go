//go:build !linux

package stage

// reserve leaves the port to the bot's first start. Should another program take it before the next one, that start says so.
func reserve() (address string, release func() error, err error) {
	return "127.0.0.1:0", func() error { return nil }, nil
}
