package main

import (
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/dashboard"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

func chain() dashboard.Table {
	return dashboard.Table{
		Environments: []dashboard.Column{{Repo: "acme/infra", Name: "dev"}, {Repo: "acme/infra", Name: "acceptance"}, {Repo: "acme/infra", Name: "canary"}, {Repo: "acme/infra", Name: "production"}},
		Apps: []dashboard.Row{
			{Images: []image.Name{"r.acme.io/shop/web", "r.acme.io/shop/worker"}, Cells: []dashboard.Cell{
				{Listed: true, Sets: "1.4.2", Runs: "1.4.2"},
				{Listed: true, Sets: "1.4.2", Runs: "1.4.1", Next: []dashboard.Next{{Label: "1.4.2", State: promotion.RollingOut}}},
				{Listed: true, Sets: "1.4.1", Runs: "1.4.1", Next: []dashboard.Next{{Label: "1.4.2", State: promotion.Open, Gate: gate.Allow}}},
				{Listed: true, Sets: "1.4.1", Runs: "1.4.1", OnHold: "so", Next: []dashboard.Next{{Label: "1.4.2", State: promotion.Open, Gate: gate.Wait, For: []string{"after", "soak"}}}},
			}},
			{Images: []image.Name{"r.acme.io/shop/cron"}, Cells: []dashboard.Cell{{}, {Listed: true, Sets: "2.0.0"}, {Listed: true}, {Listed: true, Sets: "2.0.0\x1b", Runs: "1.9.0"}}},
		},
	}
}

func TestTheTableFitsTheTerminal(t *testing.T) {
	for width, want := range map[int]string{
		200: `
            dev    acceptance                canary                      production
web+worker  1.4.2  1.4.1, 1.4.2 rolling out  1.4.1, 1.4.2 may be merged  1.4.1, 1.4.2 waits for after, soak, on hold
cron        -      2.0.0?                    ?                           1.9.0, base has 2.0.0?

`,
		60: `
web+worker
  dev         1.4.2
  acceptance  1.4.1, 1.4.2 rolling out
  canary      1.4.1, 1.4.2 may be merged
  production  1.4.1, 1.4.2 waits for after, soak, on hold
cron
  dev         -
  acceptance  2.0.0?
  canary      ?
  production  1.9.0, base has 2.0.0?

`,
	} {
		var b strings.Builder
		printTables(&b, []dashboard.Table{chain(), {}}, width)
		if got := "\n" + b.String(); got != want {
			t.Errorf("on %d columns the table is\n%s\nwant\n%s", width, got, want)
		}
	}
}
