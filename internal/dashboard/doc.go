// Package dashboard shows what the bot knows: the API that commands ask, and why anything waits.
//
// Everything is read from the store; nothing here asks a forge or a registry. Texts from outside are handed on as data and are escaped by
// whoever shows them. The API is served on the Unix socket in the data directory, whose mode is 0600: who may open it is an operator.
package dashboard
