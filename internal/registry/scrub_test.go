package registry

import (
	"errors"
	"strings"
	"testing"
)

func TestErrorsQuoteNoPasswordAlsoNoRenewedOne(t *testing.T) {
	c, err := NewClient(Options{Credentials: map[string]Credential{
		"a.example": {Username: "bot", Password: "kept-password"},
		"b.example": {Username: "bot", Renewed: func() []byte { return []byte("renewed-password") }},
		"c.example": {Token: "bearer-token"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	said := c.scrub(errors.New("the registry says: kept-password, renewed-password and bearer-token are wrong"))
	for _, secret := range []string{"kept-password", "renewed-password", "bearer-token"} {
		if strings.Contains(said, secret) {
			t.Errorf("the error quotes %s: %s", secret, said)
		}
	}
}
