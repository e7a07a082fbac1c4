package promotion_test

import (
	"testing"

	"github.com/boatlift/boatlift/internal/promotion"
)

func TestCertify(t *testing.T) {
	for _, c := range []struct {
		names, environments []string
		name, environment   string
		want                bool
	}{
		{[]string{"smoke"}, []string{"acme/infra:acceptance"}, "smoke", "acme/infra:acceptance", true},
		{[]string{"smoke"}, []string{"acme/infra:acceptance"}, "smoke", "Acme/Infra:acceptance", true},
		{[]string{"smoke"}, []string{"acme/infra:acceptance"}, "smoke2", "acme/infra:acceptance", false},
		{[]string{"smoke"}, []string{"acme/infra:acceptance"}, "smoke", "acme/infra:production", false},
		{[]string{"smoke"}, []string{"acme/infra:acceptance"}, "smoke", "acme/infra:acceptance2", false},
		{[]string{"smoke"}, []string{"acme/infra:acceptance"}, "smoke", "evil/acme/infra:acceptance", false},
		{[]string{"load", "ci/*"}, []string{"acme/*:acceptance"}, "ci/e2e/chrome", "acme/infra-1:acceptance", true},
		{[]string{"ci/*"}, []string{"acme/*:acceptance"}, "ci", "acme/infra:acceptance", false},
		{[]string{"*"}, []string{"acme/*"}, "smoke", "acme/infra:acceptance", false},
		{[]string{"*"}, []string{"*:*"}, "smoke", "acme/infra:acceptance", false},
		{[]string{"*"}, []string{"*/*:*"}, "smoke", "acme/infra:acceptance", true},
		{[]string{"a*b*c"}, []string{"*/*:*"}, "aXbYbZc", "acme/infra:acceptance", true},
		{[]string{"a*b*c"}, []string{"*/*:*"}, "aXbYbZ", "acme/infra:acceptance", false},
		{nil, []string{"*/*:*"}, "smoke", "acme/infra:acceptance", false},
		{[]string{"*"}, nil, "smoke", "acme/infra:acceptance", false},
	} {
		if got := (promotion.Certify{Names: c.names, Environments: c.environments}).Allows(c.name, c.environment); got != c.want {
			t.Errorf("%v in %v: %s in %s is %t; want %t", c.names, c.environments, c.name, c.environment, got, c.want)
		}
	}
	if !(promotion.Certify{Names: []string{"a"}, Environments: []string{"github/acme/infra:e"}}).Allows("a", "acme/infra:e", "github/acme/infra:e") {
		t.Error("an environment is not known with its forge's name")
	}
}
