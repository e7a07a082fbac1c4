// Package image says what an image reference, a tag, a digest and a tag rule are.
//
// References are compared in one canonical form (Name): lower case, Docker Hub written out. What a registry could not hold is
// refused, so a Name, a tag or a Digest that passed here can stand in an address, a file or a page.
//
// A tag rule (Rule) decides which pushed tag of an image an environment should run: a semantic version range, a regular
// expression with an order, or a moving tag followed by its digest. Where nobody wrote a rule, one is inferred from the tag
// that is there, and a sentence tells what was inferred, or which line to write where nothing could be. A Pattern selects the
// images to which a rule belongs. Facts are what an image says about itself.
//
// Everything here is pure and safe for concurrent use. What exists at a registry, and what runs, the callers bring along.
//
// # Decisions
//
// Unknown is never a licence. Newer alone allows a move, and it is false wherever a and b cannot be ranked; so a semver rule
// over a running latest proposes nothing until a person sets the first version. The other way round, what runs is ranked also
// where the rule would not take it: 2.0.0, set by hand, is not replaced by 1.9.9 because the range ends below 2.
//
// A semver rule takes tags of exactly three numbers. 1.4 beside 1.4.2 is by custom a tag that moves along with the 1.4
// series, and a bare number may be a build or a date. Only where 1.4 itself is what runs, tags of that form are followed.
//
// An upper bound -0 names no pre-release, although github.com/Masterminds/semver reads it so: "<2.0.0-0" is written to keep
// the pre-releases of 2.0.0 out.
//
// An inferred rule includes later major versions. The bot opens pull requests, and leaving one out unseen is worse than
// showing one; the sentence says so, and one line in .boatlift.yaml changes it.
//
// A version with a build number or a commit (1.4.1-123, 1.4.1-3f2a1bc) is inferred nothing from. Semantic versions rank it
// below 1.4.1 and as a pre-release, which is not what those who write it mean.
package image
