// Command sandbox tries the bot without an account anywhere: it runs a real container registry, a forge that speaks GitHub's or GitLab's API
// over real git repositories, and the bot itself as a separate process, all on this machine and under one folder.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/boatlift/boatlift/cmd/sandbox/bench"
	"github.com/boatlift/boatlift/cmd/sandbox/images"
	"github.com/boatlift/boatlift/internal/render"
	"github.com/boatlift/boatlift/internal/store/postgrestest"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == render.ChildCommand {
		os.Exit(render.ChildMain(os.Stdin, os.Stdout))
	}
	if len(os.Args) == 3 && os.Args[1] == bench.EngineCommand {
		os.Exit(bench.EngineMain(os.Args[2], os.Stdin, os.Stdout))
	}
	postgrestest.Main() // of the benchmark
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

const usage = `Try Boatlift on this machine, without any account.

  sandbox [-bot PATH] [-forge FORGE] [-once] [-dir FOLDER] [-record FILE]
  sandbox push HOST/REPOSITORY:TAG   push a small image to the sandbox's registry
  sandbox [-publish FOLDER] bench [small] [PART...]
                                     measure the bot beside what a script would do (make bench), or parts of that

`

// run is the program. It returns the exit code: 0 done, 1 it did not work, 2 the command line is wrong.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	bot := flags.String("bot", "", "the boatlift program (default: beside this one)")
	once := flags.Bool("once", false, "show the whole job without a person, print a transcript, and end")
	kind := flags.String("forge", "github", "what the forge is: github, gitlab, gitlab-premium or gitlab-ultimate")
	dir := flags.String("dir", "", "keep everything in this folder and leave it (default: a temporary one that is removed)")
	publish := flags.String("publish", "", "with bench: put the figures into README.md and "+bench.Published+" of this folder")
	record := flags.String("record", "", "write what the bot and the forge say to each other to this file, a line of JSON each")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	err := do(ctx, flags.Args(), demoOptions{bot: *bot, forge: *kind, dir: *dir, record: *record, publish: *publish, once: *once, stdin: stdin, stdout: stdout})
	var wrong *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintln(stderr, "sandbox:", err)
		flags.Usage()
		return 2
	case ctx.Err() != nil && !*once && flags.NArg() == 0:
		return 0 // a person ended it
	default:
		fmt.Fprintln(stderr, "sandbox:", err)
		return 1
	}
}

type usageError struct{ what string }

func (e *usageError) Error() string { return e.what }

func do(ctx context.Context, args []string, o demoOptions) error {
	switch {
	case len(args) == 2 && args[0] == "push":
		return push(ctx, args[1], o.stdout)
	case len(args) > 0 && args[0] == "bench":
		return measure(ctx, args[1:], o)
	case len(args) > 0:
		return &usageError{"what is " + args[0] + "?"}
	}
	if _, ok := tiers()[o.forge]; !ok {
		return &usageError{"the forge is github, gitlab, gitlab-premium or gitlab-ultimate"}
	}
	if err := o.findBot(); err != nil {
		return err
	}
	return demo(ctx, o)
}

// findBot looks for the bot's program beside this one.
func (o *demoOptions) findBot() error {
	if o.bot == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		o.bot = filepath.Join(filepath.Dir(self), "boatlift")
	}
	if _, err := os.Stat(o.bot); err != nil {
		return fmt.Errorf("the bot's program: %w (make build makes it)", err)
	}
	return nil
}

// measure runs the benchmark; bench.json and cost.svg go into the folder of -dir, by default the present one.
func measure(ctx context.Context, args []string, o demoOptions) error {
	parts := slices.Clone(args)
	small := len(parts) > 0 && parts[0] == "small"
	if small {
		parts = parts[1:]
	}
	for _, part := range parts {
		if !slices.Contains(bench.Parts(), part) {
			return &usageError{"the benchmark has no part " + part + ", but " + strings.Join(bench.Parts(), ", ")}
		}
	}
	if err := o.findBot(); err != nil {
		return err
	}
	kustomize, err := exec.LookPath("kustomize")
	if err != nil {
		return fmt.Errorf("the benchmark needs kustomize, which make bench installs: %w", err)
	}
	out := o.dir
	if out == "" {
		out = "."
	}
	if o.publish != "" && len(args) > 0 {
		return &usageError{"only the figures of a whole run are published"}
	}
	err = bench.Run(ctx, bench.Options{
		Small: small, Parts: parts, Publish: o.publish, BotPath: o.bot, Kustomize: kustomize, Postgres: os.Getenv("BOATLIFT_BENCH_POSTGRES"), OutDir: out, Table: o.stdout, Progress: os.Stderr,
	})
	if err != nil && ctx.Err() != nil {
		return errors.New("the benchmark was ended before it had its figures; nothing is left of it")
	}
	return err
}

// push pushes an image to a running sandbox's registry, from another terminal.
func push(ctx context.Context, ref string, stdout io.Writer) error {
	host, rest, ok := strings.Cut(ref, "/")
	repo, tag, tagged := strings.Cut(rest, ":")
	if !ok || !tagged {
		return &usageError{ref + " is not HOST/REPOSITORY:TAG"}
	}
	if !strings.HasPrefix(host, "127.0.0.1:") && !strings.HasPrefix(host, "localhost:") {
		return &usageError{"the sandbox pushes to registries on this machine only"}
	}
	digest, err := images.At(host).Push(ctx, repo, tag, images.Image{})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "pushed %s@%s\n", ref, digest)
	return err
}
