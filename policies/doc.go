// Package policies holds the policies that ship with the bot, with their tests. It has no code: package gate compiles and runs them.
//
// # Writing a policy
//
// A policy is one YAML file. `boatlift policy test DIR` runs the tests of a folder of them.
//
//	name: office-hours              # lower-case words joined by -
//	title: Only while somebody is there
//	description: |
//	  What it does, for `boatlift policy explain`.
//	parameters:                     # optional; what a configuration file can say
//	  zone: {type: zone, default: Europe/Amsterdam, description: the time zone}
//	let:                            # optional; names for expressions, each may use those above it
//	  hour: facts.now.getHours(params.zone)
//	allow: hour >= 9 && hour < 17   # true: allow. Else wait
//	deny: facts.held != ""          # optional; true: deny. Without allow: else allow
//	until: "null"                   # optional; when the clock alone may change the answer
//	say:                            # one sentence for each answer that is possible, or one expression that uses state
//	  allow: |
//	    "somebody is there"
//	  wait: |
//	    "nobody is there at " + facts.now.text(params.zone)
//	  deny: facts.held
//	detail: ...                     # optional; like say: what a person can do
//
// Further keys: `rollback: skip` (a rollback is allowed without being asked), `needs: after` (makes no sense where there is no
// environment before), `kind: approval` (waits for people), and `refuse`, a list of {when, parameter, say}: parameters that are wrong
// in a way that their types cannot tell, found when a configuration file is read. A name in use cannot be taken again.
//
// Expressions are CEL (cel.dev) without dyn, protocol buffers, and + of lists. They see
//
//   - facts: what package gate calls Facts, by its JSON names: facts.now, facts.changes[0].toTag, facts.after[0].runsSince, …
//   - params: the parameters; has(params.x) tells whether an optional one is given
//   - state: allow, wait or deny, in until, say and detail
//
// A time that is not known has no value: has(c.pushedAt) is false, and reading it denies the pull request. Of everything else, has()
// tells whether it is not empty. An error anywhere denies. Mind that in CEL `true || error` is true, and that all() of an empty list is
// true: say what must hold, not what must not. Sentences with the time that is left change every minute; write the moment instead.
//
// Parameter types: string, bool, int, duration (30m, 12h, 7d), zone (Europe/Amsterdam), digest, regex (RE2), moment ("Fri 16:00",
// "22:00", "2026-12-24", "2026-12-24 18:00"), window ({from: moment, to: moment, why: text}), and list(…) of each. `values` limits a
// string to some.
//
// # Functions beside CEL's own
//
//	["a", "b"].join("; ")        "a; b"
//	["a", "b", "c"].text()       "a, b and c"; at most seven, then "… and 5 more"
//	["a", "b", "a"].distinct()   ["a", "b"]
//	duration("90m").text()       "1 h 30 min"
//	facts.now.text()             "2026-03-06 15:00 UTC"
//	facts.now.text(zone)         "Fri 2026-03-06 16:00 CET"
//	"@Acme/Ops".handle()         "acme/ops": names of people and teams, comparable
//	digest.short()               its first twelve digits
//	latest([t, u]), earliest([t, u])
//	window("Fri 16:00", "Mon 07:00")
//	windowError(from, to)        what is wrong with the ends of a window; "" if nothing is
//	season(t, [windows, …], except, zone)
//
// A season tells of a moment whether it is inside one of the windows and in none of the exceptions (.inside), when that changes
// (.changes; no value if it never does), and of which windows it is (.text). It takes lists of windows, in a list. Where clocks show a
// time twice, windows begin at the first and end at the second; where they skip it, at the skip.
//
// # Tests
//
// The tests of a policy stand in <name>_test.yaml; gate.Test documents the format. The shipped policies are examples of both.
package policies
