package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/store"
)

// observeConfig reads .boatlift.yaml. A wrong one is shown on the commit that brought it, and pauses the repo: nothing new is opened or
// merged, while the last good one keeps the gates of what is open. One that was found wrong is read again at every turn, as a newer program
// may understand it. understood is false where even the last good one is not understood any more: then nothing is known of the environments,
// and nothing is concluded from that.
func (t *turn) observeConfig(ctx context.Context) (understood bool, err error) {
	if t.mem.Repo.ConfigSHA != string(t.base) || t.mem.Repo.ConfigError != "" {
		if err := t.readConfig(ctx); err != nil {
			return false, err
		}
	}
	if t.rec.ConfigError != "" {
		t.world.Paused = "the newest " + ConfigFile + " is wrong: " + firstLine(t.rec.ConfigError)
	}
	if t.rec.ConfigText == "" {
		t.rec.Environments = nil
		return true, nil
	}
	cfg, err := t.r.Parse([]byte(t.rec.ConfigText))
	if err != nil {
		t.rec.ConfigError = err.Error()
		t.world.Paused = "the " + ConfigFile + " in force is not understood: " + firstLine(t.rec.ConfigError)
		return false, nil
	}
	t.world.Config, t.rec.Environments = cfg, nil
	for _, env := range cfg.Environments {
		row := store.EnvRow{Name: env.Name, Path: env.Path, Mode: env.Mode}
		for _, ref := range env.After {
			row.After = append(row.After, ref.In(t.repo.FullName))
		}
		t.rec.Environments = append(t.rec.Environments, row)
	}
	return true, nil
}

func (t *turn) readConfig(ctx context.Context) error {
	text, err := t.tree.ReadFile(ctx, ConfigFile)
	switch {
	case isNotExist(err):
		t.rec.ConfigText, t.rec.ConfigError = "", ""
	case err != nil && !permanent(err):
		return fmt.Errorf("read %s of %s: %w", ConfigFile, t.repo.FullName, err)
	case err != nil:
		t.rec.ConfigError = ConfigFile + ": " + err.Error()
	default:
		if _, err := t.r.Parse(text); err != nil {
			t.rec.ConfigError = err.Error()
		} else {
			t.rec.ConfigText, t.rec.ConfigError = string(text), ""
		}
	}
	t.rec.ConfigSHA = string(t.base)
	err = t.showConfig(ctx)
	if err != nil && !endsTurn(err) {
		t.log.Warn("show what is wrong with the configuration", "error", err)
		t.rec.ConfigSHA = "" // shown again
		t.wakeLater(time.Minute)
		return nil
	}
	return err
}

// configCheck is the name of the check that shows a wrong .boatlift.yaml.
const configCheck = "boatlift/config"

// showConfig shows on the base commit what is wrong with its configuration, and that it is mended, once.
func (t *turn) showConfig(ctx context.Context) error {
	if t.rec.ConfigError == t.mem.Repo.ConfigError && (t.rec.ConfigError == "" || t.mem.Repo.ConfigSHA == string(t.base)) {
		return nil
	}
	check := forge.Check{HeadSHA: string(t.base), Name: configCheck, Conclusion: forge.Success, Title: ConfigFile + " is right again", Summary: "Boatlift works with it."}
	if t.rec.ConfigError != "" {
		check.Conclusion, check.Title = forge.Failure, ConfigFile+" is wrong; Boatlift opens and merges nothing here until it is mended"
		check.Summary = fence("", cut(t.rec.ConfigError, 20000)) + "\n\n`boatlift check` shows the same on your machine."
	}
	if err := t.forge.SetCheck(ctx, t.repo, check); err != nil {
		return fmt.Errorf("show the configuration check of %s: %w", t.repo.FullName, err)
	}
	return nil
}
