package gate

import (
	"testing"
	"time"
)

func TestRulingsKeepSinceWhenTheyAreInTheirState(t *testing.T) {
	t.Parallel()
	then, now := noon, noon.Add(time.Hour)
	first := Judge(Ruling{Policy: "soak", State: Wait}, Ruling{Policy: "soak", State: Allow}, Ruling{Policy: "freeze", State: Wait}).After(nil, then)
	second := Judge(Ruling{Policy: "freeze", State: Allow}, Ruling{Policy: "soak", State: Wait}, Ruling{Policy: "soak", State: Wait}, Ruling{Policy: "new", State: Deny})
	got := second.After(&first, now)
	for i, want := range []time.Time{now, then, now, now} {
		if !got.Rulings[i].Since.Equal(want) {
			t.Errorf("%s is %s since %v; want %v", got.Rulings[i].Policy, got.Rulings[i].State, got.Rulings[i].Since, want)
		}
	}
	if !second.Rulings[0].Since.IsZero() {
		t.Error("the verdict that was handed in has changed")
	}
	if got.First().Policy != "new" || (Verdict{State: Allow}).First().Say != "no policy objects" {
		t.Errorf("First = %+v", got.First())
	}
}

func TestAVerdictTellsSinceWhen(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		verdict Verdict
		want    time.Time
	}{
		"all allow":          {Judge(Ruling{State: Allow, Since: noon}, Ruling{State: Allow, Since: noon.Add(time.Hour)}, Ruling{State: Allow}), noon.Add(time.Hour)},
		"one waits":          {Judge(Ruling{State: Allow, Since: noon}, Ruling{State: Wait, Since: noon.Add(time.Minute)}), noon.Add(time.Minute)},
		"one denies":         {Judge(Ruling{State: Wait, Since: noon}, Ruling{State: Deny, Since: noon.Add(time.Hour)}), noon.Add(time.Hour)},
		"nobody remembers":   {Judge(Ruling{State: Deny}), time.Time{}},
		"there is no policy": {Judge(), time.Time{}},
	} {
		if got := test.verdict.Since(); !got.Equal(test.want) {
			t.Errorf("%s: since %v; want %v", name, got, test.want)
		}
	}
}
