// Package policies holds the policies that ship with the bot, with their tests. It has no code: package gate runs them.
package policies
