// Package config turns boatlift.yaml, the bot's own file, and .boatlift.yaml, an infra repo's, into checked values, or names the line
// that is wrong.
//
// ParseRepo and ParseBot are pure but for the secrets that ParseBot reads through its Environ, and safe for concurrent use. What they
// return needs no further check: every default is filled in, and what cannot be or would not be enforced is refused. The error is an
// *Errors with all problems of the file, each with its place, what is wrong, and what would be right. A .boatlift.yaml is anybody's
// text: it is read in bounded time and memory, and nothing of it reaches an error but in quotes and without control characters. No
// problem of boatlift.yaml repeats a value, since people write secrets where they do not belong.
//
// The files are described once, by Go structs whose tags have the keys, examples and descriptions; the decoder and the JSON Schemas
// are both made of them. Finding the files, telling where they are wrong, and acting on them are left to the callers. Escaping errors
// for markdown or HTML is as well.
//
// # Decisions
//
// What is not enforced is not accepted: code owners and teams under approvals, a registry's poll and postgres:// are refused with a
// sentence about what to write instead, as long as nothing collects the evidence.
//
// Image rules come out from the most to the least specific, as image.ComparePatterns orders them, since the first that matches counts:
// an exception below a wildcard is not lost for standing there. Two rules for one pattern are refused.
//
// An environment that comes after another of its file which says nothing of its rollout would wait for ever, so it is refused. Nobody
// can tell that of another repo's environment here; there the gate says it.
//
// require bounds what a repo may choose, not what it leaves out: without rollout nothing ever counts as success, which is stricter than
// any evidence. The required policies are judged by package promotion and not added to those of a file. Those that deny where an
// environment comes after none cannot be required, as the first environment of everybody would stand still.
//
// Anchors and aliases are read, for values that are the same in several environments; merge keys and tags are not. Plain text with a
// colon inside of brackets, {after: [acme/infra:acceptance]}, is refused, because the parser takes it for a map; so is what it reads
// otherwise than it looks, such as a key below an empty list item. Numbers are not taken for text: 1.10 is not the tag 1.10.
//
// A relative dataDir begins at the folder in which the bot is started, as BOATLIFT_DATA does and as the commands that look for the
// running bot take it. Files of secrets begin at the folder of the configuration file, which moves with them.
package config
