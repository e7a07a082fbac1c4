package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// Whatever a configuration file says: nothing panics, what Check refuses Judge denies, and no sentence can break a line.
func FuzzParameters(f *testing.F) {
	for _, seed := range []struct{ policy, parameters string }{
		{"soak", `{"for": "30m"}`},
		{"soak", `{"for": "9999999999999h"}`},
		{"freeze", `{"from": "Fri 16:00", "to": "Mon 07:00", "zone": "Europe/Amsterdam"}`},
		{"freeze", `{"zone": "../../etc/passwd", "windows": [{"from": "2026-12-24", "to": "2027-01-02", "why": "\u202e\n"}], "except": [{"from": "22:00", "to": "24:00"}]}`},
		{"approvals", `{"count": 2, "from": ["acme/ops", "@alice"], "codeOwners": true, "fourEyes": false, "afterGreen": true}`},
		{"checks", `{"names": ["build", ""], "skipped": false}`},
		{"max-age", `{"age": "1w2d3h"}`},
		{"blocked-digests", `{"digests": ["sha256:1111111111111111111111111111111111111111111111111111111111111111"], "why": "x"}`},
		{"only-tags", `{"match": ["v?\\d+", "a)|(?:b", "\\Qa"], "except": ["(a*)*$"]}`},
		{"max-open", `{"count": -9223372036854775808}`},
		{"no-downgrade", `{"": null}`},
		{"held", `{}`},
		{"\x00", `{"a": {"b": [1.5, true, null]}}`},
	} {
		f.Add(seed.policy, []byte(seed.parameters))
	}
	e, err := New()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, policy string, body []byte) {
		var parameters map[string]any
		d := json.NewDecoder(bytes.NewReader(body))
		if d.Decode(&parameters) != nil {
			return
		}
		uses := []Use{{policy, parameters}}
		errs := e.Check(uses)
		rulings := e.Judge(context.Background(), good(), uses).Rulings
		r := rulings[len(rulings)-1]
		if len(errs) > 0 && r.State != Deny {
			t.Errorf("%v is refused (%v), but judged %+v", uses, errs, r)
		}
		if r.Say == "" || strings.ContainsAny(r.Say+r.Detail, "\n\r\x00\x1b\u202e") || len(r.Say) > maxSentence {
			t.Errorf("%v says %q, %q", uses, r.Say, r.Detail)
		}
		for _, err := range errs {
			if err.Error() == "" {
				t.Errorf("%v is refused without a word", uses)
			}
		}
	})
}

// Whatever a policy's file holds, New answers with policies or with errors that name the file.
func FuzzPolicyFile(f *testing.F) {
	f.Add([]byte(officeHours))
	f.Add([]byte(fine))
	f.Add([]byte(fine + "parameters: {x: {type: list(window), default: [{from: '22:00', to: '06:00'}], description: d}}\n"))
	f.Add([]byte(fine + "refuse: [{when: 'true', parameter: x, say: '\"s\"'}]\nlet: {a: '[[1]].map(x, x)'}\n"))
	f.Add([]byte("name: mine\ntitle: |\n  x\nsay: {allow: >\n  'x'}\n? [a]\n: b\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := &reader{file: "mine.yaml"}
		file := r.policy(body)
		if file == nil && len(r.errs) == 0 {
			t.Fatal("neither a policy nor an error")
		}
		if len(body) > 2000 || file == nil || len(r.errs) > 0 {
			return // compiling takes long
		}
		fsys := folder(nil)
		fsys["mine.yaml"] = &fstest.MapFile{Data: body}
		e, err := New(fsys)
		if err != nil {
			if !strings.Contains(err.Error(), "mine.yaml") {
				t.Errorf("New = %v; want the file named", err)
			}
			return
		}
		e.Judge(context.Background(), good(), []Use{{Policy: file.Name}})
	})
}

func FuzzCalendar(f *testing.F) {
	f.Add("Fri 16:00", "Mon 07:00", "Europe/Amsterdam", int64(1772809200))
	f.Add("02:30", "02:45", "Australia/Lord_Howe", int64(1774746000))
	f.Add("2026-12-24", "2027-01-02", "Pacific/Apia", int64(0))
	f.Add("0001-01-01", "9999-12-31", "UTC", int64(253402300799))
	zones := &zones{}
	f.Fuzz(func(t *testing.T, from, to, name string, at int64) {
		zone, err := zones.load(name)
		if err != nil {
			return
		}
		w, err := parseWindow(from, to, "")
		if err != nil {
			return
		}
		now := time.Unix(at%253402300800, 0)
		if s := calendar(now, []window{w}, nil, zone); !s.changes.IsZero() && !s.changes.After(now) {
			t.Errorf("%s to %s %s at %s: changes at %s", from, to, name, now, s.changes)
		}
	})
}
