// Command boatlift is a GitOps promotion bot: when an image is pushed to a registry, it opens a pull request for it in the infra
// repository of every environment that runs it.
//
// This package holds the commands and their exit codes, and is the only place where the parts are joined.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	_ "golang.org/x/crypto/x509roots/fallback" // roots for an image that has none

	"github.com/boatlift/boatlift/internal/config"
	"github.com/boatlift/boatlift/internal/render"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == render.ChildCommand {
		os.Exit(render.ChildMain(os.Stdin, os.Stdout))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// The exit codes, as the help tells them.
const (
	exitDone   = 0
	exitFailed = 1 // what was asked for did not work, was refused, or a check found something
	exitUsage  = 2 // the command line is wrong
	exitConfig = 3 // a configuration file is wrong
	exitNoBot  = 4 // the running bot cannot be reached
)

const exitCodes = `Exit codes:
  0  done
  1  it did not work, was refused, or a check found something
  2  the command line is wrong
  3  boatlift.yaml or .boatlift.yaml is wrong
  4  the running bot cannot be reached`

// hinter is an error that knows what to do about it.
type hinter interface{ Hint() string }

// coder is an error with an exit code of its own.
type coder interface{ exitCode() int }

// usageError is a wrong command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) exitCode() int { return exitUsage }

// helpError names the help of the command whose line is wrong.
type helpError struct {
	err     error
	command string
}

func (e *helpError) Error() string { return e.err.Error() }
func (e *helpError) Unwrap() error { return e.err }
func (e *helpError) Hint() string  { return e.command + " --help tells how it is used" }

// silent ends the program with a code after everything has been said.
type silent int

func (s silent) Error() string { return "" }
func (s silent) exitCode() int { return int(s) }

// run is the program. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(stdin, stdout, stderr)
	root.SetArgs(args)
	began := false
	beforeRun(root, func() { began = true })
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if !began { // cobra's errors have no types, but all of them come before a command begins
		err = &usageError{err}
	}
	var usage *usageError
	if errors.As(err, &usage) {
		err = &helpError{err, command.CommandPath()}
	}
	var s silent
	if !errors.As(err, &s) {
		say(stderr, err)
	}
	var c coder
	if errors.As(err, &c) {
		return c.exitCode()
	}
	return exitFailed
}

// beforeRun has a function called when a command begins its work: after the command line was found to be right.
func beforeRun(cmd *cobra.Command, do func()) {
	if work := cmd.RunE; work != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			do()
			return work(cmd, args)
		}
	}
	for _, c := range cmd.Commands() {
		beforeRun(c, do)
	}
}

// say writes an error as two lines: what happened, and what to do. Of a configuration file each problem gets its own two.
func say(w io.Writer, err error) {
	var wrong *config.Errors
	if errors.As(err, &wrong) {
		for _, p := range wrong.Problems {
			tell(w, fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.What), p.Right)
		}
		return
	}
	var h hinter
	hint := ""
	if errors.As(err, &h) {
		hint = h.Hint()
	}
	tell(w, err.Error(), hint)
}

func tell(w io.Writer, what, hint string) {
	fmt.Fprintf(w, "boatlift: %s\n", what)
	if hint != "" {
		fmt.Fprintf(w, "  %s\n", hint)
	}
}

func newRoot(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "boatlift",
		Short: "Promote container images through environments by pull request",
		Long: `Boatlift is a GitOps promotion bot. When an image is pushed to a registry, it patches
the image in the Kustomize files of every infra repository that runs it, opens one pull
request per environment, and shows in each whether it may go.

` + exitCodes,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(
		newServe(), newCheck(), newStatus(), newWhy(), newHold(), newLift(), newResume(), newSync(), newNotify(), newVerify(), newSet(), newHooks(), newPolicy(), newMigrate(), newSchema(), newVersion(),
	)
	return root
}
