package main

import (
	"context"
	"errors"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
)

func (p *play) report(ctx context.Context, _ *testscript.TestScript, args []string) error {
	if len(args) < 3 || len(args) > 4 {
		return errUsage
	}
	head, err := p.stage.Hub.Head(on(args[0]), "main")
	if err != nil {
		return err
	}
	link := "https://ci.example/" + args[1]
	if len(args) == 4 {
		return p.stage.Hub.ReportCheck(on(args[0]), args[3], hub.Check{Name: args[1], Conclusion: args[2], DetailsURL: link}, head)
	}
	return p.stage.Hub.SetStatus(ctx, on(args[0]), "alice", hub.Status{SHA: head, Context: args[1], State: args[2], TargetURL: link})
}

func (p *play) rollouts(_ context.Context, _ *testscript.TestScript, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	do := map[string]func(repo, environment string) error{
		"fail": p.stage.Hub.FailNextRollout, "hang": p.stage.Hub.HangRollouts, "release": p.stage.Hub.ReleaseRollouts,
	}[args[1]]
	if do == nil {
		return errUsage
	}
	return do(on(args[0]), args[0])
}

func (p *play) rerun(_ context.Context, _ *testscript.TestScript, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	runs, err := p.stage.Hub.Runs(on(args[0]))
	if err != nil {
		return err
	}
	if len(runs) == 0 {
		return errors.New("nothing has run")
	}
	return p.stage.Hub.FinishRun(on(args[0]), "alice", runs[len(runs)-1].ID, "success")
}
