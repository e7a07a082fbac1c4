// Package forgetest holds a forge in memory and the contract that every forge passes.
//
// [Memory] implements forge.Forge for tests of whoever uses a forge: people close, review, merge and push, calls fail on
// demand, lists lag behind, and every call is recorded. It keeps just enough history of its branches to tell what a pull request
// changes and whether it conflicts; where real git is at hand, hooks take that over. All of it may be used concurrently.
//
// [Contract] is the list of promises that package forge makes, one subtest each, named in words. An adapter, a sandbox or another
// fake passes it by implementing [Harness], which puts its forge into a state as people and pipelines would. What not every forge has, such
// as HTTP and its Retry-After, is a capability of the harness, and a promise that needs one says so where it is left out. The promises are about
// what the port says, not about a forge's own habits: those belong to the adapter's tests.
package forgetest
