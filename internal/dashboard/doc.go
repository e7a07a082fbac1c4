// Package dashboard shows what the bot knows: the API that commands ask, and why anything waits.
//
// Everything is read from the store; nothing here asks a forge or a registry, but a sync is handed on to who does (API.Sync). The API is served on the Unix socket in the data directory,
// whose mode is 0600: who may open it may do everything. Over the network Guard lets in whoever has a token, as far as its role goes, and
// the audit trail has the token's name. What people decide is written with a transaction of the store's and an entry in the
// audit trail, beside the turn that may be running.
//
// Promises: lists are never null and in the same order each time. What an answer says in words is one sentence, in lower case and without
// a full stop, so that it can stand in a list; what to do about it is apart from it. Texts from outside cannot steer a terminal: control
// characters, and those that turn the direction of text or are invisible, leave as U+FFFD; only lines and tabs stay. Escaping them for
// a page is the work of whoever makes one.
package dashboard
