// Package registry is what registries say: the notifications they send when an image is pushed, one decoder per sender, and
// the answers they give when asked which digest a tag has, which tags there are, and what an image says about itself.
//
// # Notifications
//
// A Sender is one configured endpoint: a type of sender, the host whose images it speaks of, and the secret that proves it.
// Verify looks at the raw bytes and compares in constant time; Decode turns a proved request into pushes, and says about
// everything else in it why it was ignored. Both are pure, safe for concurrent use, and never call an address that a body
// names. What leaves Decode is normalised: hosts and repositories in canonical lower case, tags as they were written,
// digests complete or absent, times in UTC.
//
// A push is a hint that somebody should look at the registry again. Senders forget, repeat, reorder and leave out; the
// caller resolves the tag before anything is built on it, and polls besides. Storing, answering and counting are the hook
// package's.
//
// # Adding a sender
//
// One file, and one line in Types. The file holds a function that returns its Type:
//
//	func quay() Type {
//		return Type{
//			Name:   "quay",
//			Title:  "Quay",
//			Host:   "quay.io",        // where no endpoint sets another; empty where bodies name it
//			Verify: verifyPathSecret, // a look at Request.Path, Query or Header, and at the raw Body
//			Decode: decodeQuay,       // calls collector.push for every tag in the body
//			Looks:  func(keys map[string]json.RawMessage, _ http.Header) bool { … },
//		}
//	}
//
// The rules that hold for every sender (which tags are images, what a name is) are in collector.push, so a decoder only
// finds the fields. Its bodies go to testdata/webhooks/<name>, with headers.json; what must come out goes to
// testdata/decoded/<name>; the tests and fuzz seeds find both there. A sender that has to be answered in a special way (a
// subscription to be confirmed, an OPTIONS handshake) adds a function for that to Type, which is nil for the others.
//
// # Asking a registry
//
// Client asks through go-containerregistry. Its errors say whether asking again can help, and never contain a credential,
// nor the query of an address, which may be signed.
//
// # Decisions
//
// An invalid digest is dropped and its push kept: the digest is looked up anyway, and a lost push is a late deployment. Some
// senders' own documentation masks digests.
//
// A content type is not required to be the documented one: the endpoint says what is sent to it, and the body either is that
// or is not.
//
// The host of a Distribution event is the Host header that the registry saw, so it can be that of a proxy; an endpoint's own
// host overrides it. A host without dot or port cannot be told from a user of Docker Hub and needs that setting.
//
// GHCR's events carry no usable time (created_at is year 1), so Push.Time is zero for them and the time of arrival counts.
package registry
