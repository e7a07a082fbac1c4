// Package registry is what registries say: the notifications they send when an image is pushed, one decoder per sender, and
// the answers they give when asked which digest a tag has, which tags there are, and what an image says about itself.
//
// # Notifications
//
// A Sender is one configured endpoint: a type of sender, the host whose images it speaks of, the secret that proves it, and
// the settings that its type has. VerifyContext looks at the raw bytes and compares in constant time; Answer tells the few
// requests that want to hear something particular (may I post here? is this subscription wanted?) from the others; Decode
// turns a proved request into pushes, and says about everything else in it why it was ignored. A Sender is safe for
// concurrent use, and no decoder asks the network anything. What leaves Decode is normalised: hosts and repositories in
// canonical lower case, tags as they were written, digests complete or absent, times in UTC.
//
// A push is a hint that somebody should look at the registry again. Senders forget, repeat, reorder and leave out; the
// caller resolves the tag before anything is built on it. Storing, answering and counting are the hook
// package's.
//
// # Who is believed, and what is called
//
// Most senders sign, or give a secret in a header. Some can do neither: their secret is the end of the endpoint's address
// (Request.Path), at least 128 random bits, and must not be logged any more than another; Request, Endpoint and Sender print
// without it. Two sign with keys of their own: Google, whose keys come from one configured address, and SNS, whose messages
// name a certificate. Everything that is fetched for that goes through a type's Reach, an allow-list that is checked in one
// place, package trust's Shelf, over https and without following redirects; it is kept, and bounded in size, time and number,
// whoever provokes it.
// Apart from those certificates no address in a body is ever called: not callback_url, validationUrl, SubscribeURL or
// WebHook-Request-Callback.
//
// Where keys cannot be fetched, the error is an UndecidedError, not a ProofError: the request may be genuine and has to come
// again.
//
// # Adding a sender
//
// One file, and one line in Types. The file holds a function that returns its Type:
//
//	func quay() Type {
//		kind := Type{
//			Name:    "quay",
//			Title:   "Quay",
//			Proof:   "a secret in the address",          // for people, as are Lacks and Setup
//			Secrecy: func(Endpoint) Secrecy { return InPath },
//			Looks:   func(keys map[string]json.RawMessage, _ http.Header) bool { … }, // for hints
//		}
//		kind.Setup = setup(&kind, "In each repository: …", "  Webhook URL: {url}")
//		kind.Verify = func(e Endpoint, r Request) error { return verifyPath(kind, e, r) } // proof.go has the usual ways
//		kind.Decode = func(e Endpoint, r Request) (Decoded, error) { … } // calls collector.push for every tag in the body
//		return kind
//	}
//
// The rules that hold for every sender (which tags are images, what a name is) are in collector.push, so a decoder only
// finds the fields: as plain strings where they say what was pushed, so that a wrong type is refused, and as text or moment
// where a body should not be lost for them. What can be set goes to Settings; a proof that needs fetched keys is Prove instead
// of Verify, with Reach; a handshake is Answer.
//
// Its bodies go to testdata/webhooks/<name>, with headers.json; what must come out goes to testdata/decoded/<name>, and is
// written there by go test -run TestBodies -update. Tests, forgeries, cut-off copies and fuzz seeds find them there.
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
// GHCR's events carry no usable time (created_at is year 1), so Push.Time is zero for them and the time of arrival counts. So
// it is for Alibaba's, whose times have no zone.
//
// A listing of tags that comes in several pages has no mark. Each page has one of its own, but with them all a listing costs as many requests as
// without, only shorter answers; a page that says "unchanged" need not say where the next one is; and a tag that is added moves those of all
// pages behind it.
//
// CloudEvents are read without the SDK. What is used of them is seven attributes and the data, of which some are wrong in
// practice (Event Grid sends lists as application/cloudevents+json), and one odd event must not cost its batch.
//
// A certificate of SNS is believed because it comes over https from SNS's own host, as Amazon's libraries do; no chain is
// built from it.
//
// A promotion inside Artifactory is no push. Whether its repository is the one promoted from or to is not documented; the
// poll finds what it leads to.
//
// Where one request holds several events, Decoded.DeliveryID is a hash over their ids. Push.DeliveryID is the event's own id;
// of CloudEvents in general, which are only unique together with their source, Decoded.DeliveryID has both.
package registry
