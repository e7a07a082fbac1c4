// Package stage sets up everything that a promotion needs on one machine: a registry, a forge with two infra repositories, and the bot as a
// process of its own. The demo and the end-to-end tests play on it.
//
// Everything lies under one folder and listens on free ports of the loopback interface. The bot can be killed and started again at the
// same address. Close ends all of it; the folder is the caller's.
package stage
