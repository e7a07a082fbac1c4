package didyoumean_test

import (
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/didyoumean"
)

func TestWord(t *testing.T) {
	known := []string{"environments", "soak", "freeze", "windows"}
	for wrong, want := range map[string]string{
		"environment": "environments", "saok": "soak", "SOAK": "soak", "freze": "freeze", "window": "windows",
		"": "", "x": "", "approvals": "", strings.Repeat("soak", 1000): "",
	} {
		if got := didyoumean.Word(wrong, known); got != want {
			t.Errorf("Word(%.20q) = %q, want %q", wrong, got, want)
		}
	}
}
