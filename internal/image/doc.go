// Package image says what an image reference, a tag, a digest and a tag rule are.
//
// A tag rule decides which pushed tag of an image an environment should run: a semantic version range, a regular expression
// with an order, or a moving tag followed by its digest. Where nobody wrote a rule, one is inferred from the tag that is
// there, and a sentence tells what was inferred, or which line to write where nothing could be.
//
// Everything here is pure and safe for concurrent use.
package image
