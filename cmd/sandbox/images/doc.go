// Package images is the sandbox's container registry: the real CNCF Distribution, run as a library, and small real images to push.
//
// It can also run Debian's docker-registry, which is version 2, as a process; it behaves the same but for what versions differ in.
//
// The registry keeps everything in memory or in a folder, listens on a port of its own and tells a webhook about every push, exactly as an
// installed one does: the same bodies, the same noise (blob events, pulls, children of an index), the same endless retries while
// the listener is down. Images are one layer with one file; their content depends on nothing but what the caller gives, so that
// the same push has the same digest on every machine.
//
// All methods may be called concurrently. What becomes of a notification is the listener's business.
//
// # Decisions
//
// Distribution logs through a process-wide logger and offers no other; Start turns that logger off, which is why this package
// belongs in the sandbox and in tests only. Its notification queue has no stop either: a registry that is closed while its
// listener is down leaves one goroutine behind that goes on trying until the process ends.
//
// The address is taken once and kept until Close, also while Restart has nothing behind it: given back, it may be another program's in the
// next moment.
package images
