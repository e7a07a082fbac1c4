package registry

import (
	"encoding/base64"
	"errors"
	"net/http"
	"testing"
)

func TestWhileASecretIsRotatedEitherProvesARequest(t *testing.T) {
	kind, err := Lookup("distribution")
	if err != nil {
		t.Fatal(err)
	}
	var secrets []string
	sender, err := NewSender(kind, Endpoint{Secrets: func() [][]byte {
		list := [][]byte{[]byte("as it was made")}
		if secrets != nil {
			list = nil
		}
		for _, s := range secrets {
			list = append(list, []byte(s))
		}
		return list
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		now  []string
		want map[string]bool
	}{
		{[]string{"old-secret"}, map[string]bool{"old-secret": true, "new-secret": false, "": false}},
		{[]string{"new-secret", "old-secret"}, map[string]bool{"old-secret": true, "new-secret": true, "new-secret,old-secret": false, "": false}},
		{[]string{"new-secret"}, map[string]bool{"old-secret": false, "new-secret": true}},
		{[]string{"new-secret", ""}, map[string]bool{"": false, "new-secret": true}},
		{[]string{}, map[string]bool{"": false, "old-secret": false}},
	} {
		secrets = tc.now
		for given, want := range tc.want {
			for how, header := range map[string]string{
				"Bearer": "Bearer " + given, "Basic": "Basic " + base64.StdEncoding.EncodeToString([]byte("registry:"+given)),
			} {
				err := sender.Verify(Request{Method: http.MethodPost, Header: http.Header{"Authorization": {header}}, Body: []byte("{}")})
				var refused *ProofError
				if (err == nil) != want || err != nil && !errors.As(err, &refused) {
					t.Errorf("with %q, %s %q: %v; want proved: %t", tc.now, how, given, err, want)
				}
			}
		}
	}
}

func TestEverySecretOfAnEndpointMustBeOne(t *testing.T) {
	for kind, bad := range map[string]string{"distribution": " ", "dockerhub": "guess-me"} {
		found, err := Lookup(kind)
		if err != nil {
			t.Fatal(err)
		}
		const good = "8c6bd1ac9f47e2035d1e6a7b48c92f30"
		for _, list := range [][]string{{good, bad}, {bad, good}, {}} {
			_, err := NewSender(found, Endpoint{Secrets: func() [][]byte {
				var all [][]byte
				for _, s := range list {
					all = append(all, []byte(s))
				}
				return all
			}})
			if err == nil {
				t.Errorf("%s takes the secrets %q", kind, list)
			}
		}
	}
}
