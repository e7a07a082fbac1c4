// Package gate judges whether a pull request may be merged now.
//
// A policy is one rule. It sees precomputed facts and its own parameters, does no I/O, and answers allow, wait (until when, for
// what) or deny, each with a sentence for people. Deny outranks wait outranks allow; what cannot be evaluated denies. The
// policies are written in CEL; those that ship with the bot are in the policies folder.
package gate
