// Package hook is HTTP in: it proves who sent a webhook, decodes it, stores it, and answers. Nothing else happens in the request.
//
// Every endpoint is one configured sender under /hooks/NAME; the sender is never guessed from headers or body. The answers:
//
//	202  stored, with the work it makes, durably
//	200  authentic and known already, or authentic and nothing to do; the body says why
//	401  not proved; nothing changed
//	404  no such endpoint
//	405  not a POST
//	413  larger than the sender's bodies ever are
//	503  not stored: the database cannot write now, or too many deliveries are under way; Retry-After says when to try again
//
// Authentic requests are never answered 4xx, because several senders then send the same for ever, or switch the hook off. No address
// from a body is called. What a delivery means is registry's and forge's work, what comes of it reconcile's.
package hook
