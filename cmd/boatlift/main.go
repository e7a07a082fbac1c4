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
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	_ "golang.org/x/crypto/x509roots/fallback" // roots for an image that has none

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
func (e *usageError) Hint() string  { return "boatlift --help" }

// silent ends the program with a code after everything has been said.
type silent int

func (s silent) Error() string { return "" }
func (s silent) exitCode() int { return int(s) }

// run is the program. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(stdin, stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	var s silent
	if !errors.As(err, &s) {
		say(stderr, err)
	}
	var c coder
	switch {
	case errors.As(err, &c):
		return c.exitCode()
	case strings.HasPrefix(err.Error(), "unknown command"), strings.HasPrefix(err.Error(), "unknown flag"), strings.HasPrefix(err.Error(), "required flag"),
		strings.HasPrefix(err.Error(), "unknown shorthand"), strings.HasPrefix(err.Error(), "accepts "), strings.HasPrefix(err.Error(), "requires "):
		return exitUsage // cobra's errors have no types
	default:
		return exitFailed
	}
}

// say writes an error as two lines: what happened, and what to do.
func say(w io.Writer, err error) {
	fmt.Fprintf(w, "boatlift: %v\n", err)
	var h hinter
	if errors.As(err, &h) && h.Hint() != "" {
		fmt.Fprintf(w, "  %s\n", h.Hint())
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
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(
		newServe(), newCheck(), newStatus(), newWhy(), newHold(), newLift(), newResume(), newSet(), newHooks(), newPolicy(), newSchema(), newVersion(),
	)
	return root
}
