// Package wire is what adapters of forges share that speak HTTP: answers of a bounded size, errors and limits made out of them at one
// place, and text of others made fit for people.
//
// Nothing here knows one forge's API. A write is never repeated: what broke may have taken effect. Everything may be used concurrently.
package wire
