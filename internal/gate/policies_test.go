package gate

import (
	"testing"

	"github.com/boatlift/boatlift/policies"
)

// The tests of the policies that ship with the bot stand next to them, as a user's would.
func TestShippedPolicies(t *testing.T) {
	t.Parallel()
	results, err := Test(policies.FS)
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range results {
		t.Run(result.Policy+"/"+result.Name, func(t *testing.T) {
			if !result.Passed {
				t.Error(result)
			}
		})
	}
}
