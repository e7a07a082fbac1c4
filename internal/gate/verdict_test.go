package gate

import (
	"testing"
	"time"
)

func TestCombine(t *testing.T) {
	t.Parallel()
	soon, later := noon, noon.Add(time.Hour)
	allow, wait, deny := Ruling{State: Allow, Say: "a"}, Ruling{State: Wait, Say: "w", Until: later}, Ruling{State: Deny, Say: "d"}
	for _, tt := range []struct {
		name    string
		rulings []Ruling
		state   State
		reason  string
		until   time.Time
	}{
		{"nothing allows", nil, Allow, "no policy objects", time.Time{}},
		{"one allows", []Ruling{allow}, Allow, "a", time.Time{}},
		{"wait outranks allow", []Ruling{allow, wait, allow}, Wait, "w", later},
		{"deny outranks wait", []Ruling{wait, deny, allow}, Deny, "d", later},
		{"the first reason counts", []Ruling{wait, {State: Wait, Say: "second", Until: soon}}, Wait, "w", soon},
		{"an allow that ends has a clock", []Ruling{{State: Allow, Say: "a", Until: soon}, allow}, Allow, "a", soon},
		{"no state denies", []Ruling{allow, {Say: "forgotten"}}, Deny, "forgotten", time.Time{}},
		{"a made-up state denies", []Ruling{{State: "perhaps", Say: "odd"}}, Deny, "odd", time.Time{}},
	} {
		v := Judge(tt.rulings...)
		if v.State != tt.state || v.Reason() != tt.reason || !v.Until.Equal(tt.until) {
			t.Errorf("%s: Judge = %s (%s) until %s; want %s (%s) until %s", tt.name, v.State, v.Reason(), v.Until, tt.state, tt.reason, tt.until)
		}
	}
}
