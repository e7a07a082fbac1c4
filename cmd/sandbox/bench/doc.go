// Package bench measures the bot beside what a user would script instead, in one run on one machine.
//
// Promotions are made in generated repositories of several sizes by git and kustomize with three kinds of clones, by go-git, and by the
// engine of the bot, all on the same server (git http-backend), one after the other and then the next round, so that whatever else the
// machine does meets all of them. A promotion only counts if the server then has the branch with just the one line changed. Times of
// the command line include its processes, which is what a script pays; the engines that stay are measured inside their process.
//
// Figures are reported and never judged here: a test that asserts a duration fails on a busy day.
package bench
