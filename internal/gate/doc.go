// Package gate judges whether a pull request may be merged now.
//
// A policy is one rule. It sees precomputed facts and its own parameters, does no I/O, and answers allow, wait (until when, for
// what) or deny, each with a sentence for people. Deny outranks wait outranks allow; what cannot be evaluated denies. The
// policies are written in CEL; those that ship with the bot are in package policies, whose doc tells how to write one.
//
// Engine compiles all policies once and judges by them, concurrently if wanted. An expression is bounded in work, a verdict in time,
// a sentence in length. What an expression may cost is known to CEL but for two things, lists added to each other and comparisons of
// nested lists; both are refused when a policy is compiled. Policies cannot make values without a static type.
//
// Computing the facts, finding the line of a wrong parameter in a file, escaping sentences for markdown or HTML, and acting on
// a verdict are left to others.
//
// # Decisions
//
// A policy may have allow, deny or both; the one that is missing is the opposite of the other. Both evaluate to false: wait.
//
// Ruling.Until is set for every state, not only for a wait: a policy that allows tells when it will stop to, as a freeze that begins
// would otherwise meet a pull request whose check is still green.
//
// A sentence never contains the time that is left, only the moment it ends: so the same facts a minute later give the same sentence,
// and checks are not rewritten for nothing.
//
// Beside after, soak, freeze and no-downgrade a rollback is not asked for max-age (it is old by nature) and max-open (it must not
// queue). It is asked for held: whoever rolls back and thereby sets a hold leaves that hold out of the facts of this one rollback.
//
// soak where there is nothing to come after denies when judged. The parameters alone do not show it, so Check cannot; package config
// can, by Description.Needs.
//
// The ruling of a policy that failed has no Kind. So Verdict.ApartFrom never takes a broken approval policy for one that merely waits.
//
// Time zones are read from the machine or, where it has none, from the copy in the binary; they are the only thing that is not in
// the facts.
package gate
