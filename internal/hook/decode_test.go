package hook_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/boatlift/boatlift/internal/hook"
	"github.com/boatlift/boatlift/internal/registry"
)

func TestExplain(t *testing.T) {
	real := sender(t, "distribution")
	panics := senderOf(t, registry.Type{
		Name:   "faulty",
		Verify: func(registry.Endpoint, registry.Request) error { panic("no") },
		Decode: func(registry.Endpoint, registry.Request) (registry.Decoded, error) { panic("no") },
	})
	empty := senderOf(t, registry.Type{
		Name: "empty",
		Verify: func(registry.Endpoint, registry.Request) error {
			return errors.New("a proof that ends in a way of its own")
		},
		Decode: func(registry.Endpoint, registry.Request) (registry.Decoded, error) { return registry.Decoded{}, nil },
	})
	good := []byte(envelope(pushed("e1", "shop/web", "1.4.2")).body)
	proved := http.Header{"Authorization": {bearer}}
	for name, tc := range map[string]struct {
		sender          *registry.Sender
		header          http.Header
		body            []byte
		verify          bool
		pushes, ignored int
		err             string // empty, proof, decode or fault
	}{
		"a push":                      {real, proved, good, true, 1, 0, ""},
		"a push without its proof":    {real, nil, good, true, 0, 0, "proof"},
		"a push of which none is due": {real, nil, good, false, 1, 0, ""},
		"no notification":             {real, proved, []byte("{"), true, 0, 1, "decode"},
		"nothing":                     {real, proved, nil, true, 0, 1, "decode"},
		"a decoder that panics":       {panics, nil, good, false, 0, 1, "fault"},
		"a proof that panics":         {panics, nil, good, true, 0, 0, "proof"},
		"a proof of another kind":     {empty, nil, good, true, 0, 0, "proof"},
		"a decoder that says nothing": {empty, nil, good, false, 0, 0, ""},
		"no sender":                   {&registry.Sender{}, proved, good, true, 0, 0, "proof"},
	} {
		t.Run(name, func(t *testing.T) {
			decoded, err := hook.Explain(*tc.sender, registry.Request{Method: http.MethodPost, Header: tc.header, Body: tc.body}, tc.verify)
			if decoded.Pushes == nil || decoded.Ignored == nil || len(decoded.Pushes) != tc.pushes || len(decoded.Ignored) != tc.ignored {
				t.Errorf("Explain() = %+v; want %d pushes, %d ignored, no list nil", decoded, tc.pushes, tc.ignored)
			}
			var proof *registry.ProofError
			var decode *registry.DecodeError
			got := ""
			switch {
			case errors.As(err, &proof):
				got = "proof"
			case errors.As(err, &decode):
				got = "decode"
			case err != nil:
				got = "fault"
				if hint, ok := err.(interface{ Hint() string }); !ok || hint.Hint() == "" {
					t.Errorf("the error %v says not what to do", err)
				}
			}
			if got != tc.err {
				t.Errorf("Explain() gives %v; want an error of kind %q", err, tc.err)
			}
			if tc.ignored > 0 && decoded.Ignored[0].Reason != err.Error() {
				t.Errorf("ignored = %+v; want the error's own words", decoded.Ignored)
			}
		})
	}
}
