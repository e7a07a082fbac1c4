// Package hook is HTTP in: it proves who sent a webhook, decodes it, stores it, and answers. Nothing else happens in the request.
//
// Every endpoint is one configured sender under /hooks/NAME; the sender is never guessed from headers or body. The answers:
//
//	202  stored, with the work it makes, durably
//	200  authentic and known already, or authentic and nothing to do; the body says why
//	400  the connection broke before the body was whole
//	401  not proved; nothing changed
//	404  no such endpoint
//	405  not a POST, nor another method by which this sender asks something
//	408  the body did not come in time
//	413  larger than the sender's bodies ever are
//	503  not stored: the database cannot write now, too many deliveries are under way, or the keys that prove the sender cannot be had;
//	     Retry-After says when to try again
//
// A sender that asks something (whether it may post here, say) gets the answer that its decoder gives, once that is recorded.
//
// Authentic requests that came whole are never answered 4xx, because several senders then send the same for ever, or switch the hook
// off. Nothing here calls an address; package registry calls the few that a proof or a confirmation needs, by an allow-list. What a
// delivery means is registry's and forge's work, what comes of it reconcile's.
//
// # Promises
//
// What was answered 202 is on the disk. A stranger can make neither work nor noise: what is not proved is counted, and at most one of
// them in ten seconds at each endpoint is logged and written down. Nor can one who sends slowly or much: a body has to come in
// Options.BodyTimeout, holds no place among the deliveries under way until it has, and all bodies together hold no more than
// Options.BodyMemory. Headers, paths and queries, where senders put secrets, are in no log, no answer and no record, except a delivery's id.
// A panic of a decoder is a reason to ignore one delivery.
//
// A Receiver is safe for concurrent use, and starts nothing that outlives a request.
//
// # Decisions
//
// A delivery without an id of its own is known again by its body only where every push in it carries a time. Others (Quay's, say)
// look the same each time the same tag is pushed: to take the second one for a repetition would lose it, while to take a repetition
// for a second one costs a turn in which nothing has changed.
//
// The id of a delivery that is not proved is written down only where it stands in GitHub's header and is a UUID, so that people who see
// a refused delivery at the forge find it here, and nobody can plant a record under another name.
//
// Bodies above a megabyte are not kept. Nothing reads them again; they are for people who wonder what was sent.
package hook
