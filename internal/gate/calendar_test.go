package gate

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := (&zones{}).load(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestInstant(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ zone, wall, first, last string }{
		{"Europe/Amsterdam", "2026-03-06 16:00", "2026-03-06T15:00:00Z", "2026-03-06T15:00:00Z"},
		{"Europe/Amsterdam", "2026-07-01 16:00", "2026-07-01T14:00:00Z", "2026-07-01T14:00:00Z"},
		{"Europe/Amsterdam", "2026-03-29 01:59", "2026-03-29T00:59:00Z", "2026-03-29T00:59:00Z"},
		{"Europe/Amsterdam", "2026-03-29 02:00", "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"}, // skipped
		{"Europe/Amsterdam", "2026-03-29 02:59", "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"}, // skipped
		{"Europe/Amsterdam", "2026-03-29 03:00", "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"},
		{"Europe/Amsterdam", "2026-10-25 02:00", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"}, // twice
		{"Europe/Amsterdam", "2026-10-25 02:59", "2026-10-25T00:59:00Z", "2026-10-25T01:59:00Z"}, // twice
		{"Europe/Amsterdam", "2026-10-25 03:00", "2026-10-25T02:00:00Z", "2026-10-25T02:00:00Z"},
		{"America/New_York", "2026-11-01 01:30", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"},
		{"Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z"}, // half an hour
		{"America/Santiago", "2026-09-06 00:00", "2026-09-06T04:00:00Z", "2026-09-06T04:00:00Z"},    // midnight is skipped
		{"Pacific/Apia", "2011-12-30 12:00", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z"},        // the day is skipped
		{"Pacific/Kiritimati", "2026-01-01 00:00", "2025-12-31T10:00:00Z", "2025-12-31T10:00:00Z"},  // UTC+14
		{"UTC", "2026-03-29 02:30", "2026-03-29T02:30:00Z", "2026-03-29T02:30:00Z"},
	} {
		wall, err := time.Parse("2006-01-02 15:04", tt.wall)
		if err != nil {
			t.Fatal(err)
		}
		date := wall.Truncate(24 * time.Hour)
		for late, want := range map[bool]string{false: tt.first, true: tt.last} {
			got := instant(date, wall.Sub(date), mustZone(t, tt.zone), late).UTC().Format(time.RFC3339)
			if got != want {
				t.Errorf("instant(%s, %s, late %t) = %s; want %s", tt.wall, tt.zone, late, got, want)
			}
		}
	}
}

func TestParseWindow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ from, to, wrong string }{
		{"Fri 16:00", "Mon 07:00", ""},
		{"friday  16:00", "MONDAY 07:00", ""},
		{"Sun 00:00", "Sun 24:00", ""},
		{"Mon 09:00", "Mon 08:00", ""},
		{"22:00", "06:00", ""},
		{"00:00", "24:00", ""},
		{"2026-12-24", "2026-12-24", ""},
		{"2026-12-24 18:00", "2026-12-27", ""},
		{"2028-02-29", "2028-03-01", ""},
		{"", "06:00", `from: "" is no moment: write "Fri 16:00", "22:00", "2026-12-24" or "2026-12-24 18:00"`},
		{"22:00", "6:00", `to: "6:00" is no moment: write "Fri 16:00", "22:00", "2026-12-24" or "2026-12-24 18:00"`},
		{"25:00", "06:00", `from: "25:00" is no moment: write "Fri 16:00", "22:00", "2026-12-24" or "2026-12-24 18:00"`},
		{"Fri", "Mon", `from: "Fri" lacks a time of day: write "Fri 00:00"`},
		{"Fre 16:00", "Mon 07:00", `from: "Fre 16:00" is no moment: write "Fri 16:00", "22:00", "2026-12-24" or "2026-12-24 18:00"`},
		{"2026-02-29", "2026-03-01", `from: "2026-02-29" is no moment: write "Fri 16:00", "22:00", "2026-12-24" or "2026-12-24 18:00"`},
		{"Fri 16:00", "2026-12-24", "from is a weekday and a time, but to is a date"},
		{"22:00", "22:00", "it ends when it begins"},
		{"Fri 16:00", "Fri 16:00", "it ends when it begins"},
		{"2026-12-24 18:00", "2026-12-24 18:00", "it ends before it begins"},
		{"2026-12-25", "2026-12-24", "it ends before it begins"},
		{"24:00", "06:00", "from: a day begins at 00:00"},
		{"Fri 24:00", "Mon 06:00", "from: a day begins at 00:00"},
	} {
		_, err := parseWindow(tt.from, tt.to, "")
		if got := fmt.Sprint(err); (err == nil) != (tt.wrong == "") || err != nil && got != tt.wrong {
			t.Errorf("parseWindow(%q, %q) = %v; want %q", tt.from, tt.to, err, tt.wrong)
		}
	}
}

// A calendar must agree with somebody who looks at a clock and a diary every minute, across every change of the clocks.
func TestCalendarAgreesWithClock(t *testing.T) {
	t.Parallel()
	zones := []*time.Location{
		mustZone(t, "Europe/Amsterdam"), mustZone(t, "America/New_York"), mustZone(t, "Australia/Lord_Howe"),
		mustZone(t, "America/Santiago"), mustZone(t, "Asia/Kolkata"), time.UTC,
	}
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		clock := rapid.Custom(func(t *rapid.T) string {
			return fmt.Sprintf("%02d:%02d", rapid.IntRange(0, 23).Draw(t, "hour"), 5*rapid.IntRange(0, 11).Draw(t, "minute"))
		})
		from, to := clock.Draw(t, "from"), clock.Draw(t, "to")
		if rapid.Bool().Draw(t, "weekly") {
			day := rapid.SampledFrom([]string{"Sun ", "Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat "})
			from, to = day.Draw(t, "from day")+from, day.Draw(t, "to day")+to
		}
		w, err := parseWindow(from, to, "")
		if err != nil {
			return
		}
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 365*24*12).Draw(t, "at")) * 5 * time.Minute)
		got := calendar(start, []window{w}, nil, zone)
		if ambiguous(start, zone) {
			return // there the rule is first and second, which TestInstant has
		}
		if want := shows(w, start.In(zone)); got.inside != want {
			t.Fatalf("%s to %s %s at %s: inside = %t; want %t", from, to, zone, start.In(zone), got.inside, want)
		}
		if got.changes.IsZero() || !got.changes.After(start) {
			t.Fatalf("%s to %s %s at %s: changes at %s", from, to, zone, start.In(zone), got.changes)
		}
		if calendar(got.changes, []window{w}, nil, zone).inside == got.inside {
			t.Fatalf("%s to %s %s at %s: does not change at %s", from, to, zone, start.In(zone), got.changes)
		}
		for at := start; at.Before(got.changes); at = at.Add(5 * time.Minute) {
			if calendar(at, []window{w}, nil, zone).inside != got.inside {
				t.Fatalf("%s to %s %s: changes at %s; announced for %s", from, to, zone, at.In(zone), got.changes.In(zone))
			}
		}
	})
}

// ambiguous tells whether the clocks show this time twice, or went forward over a part of the day before.
func ambiguous(t time.Time, zone *time.Location) bool {
	start, end := t.In(zone).ZoneBounds()
	return !start.IsZero() && t.Sub(start) < 25*time.Hour || !end.IsZero() && end.Sub(t) < 25*time.Hour
}

// shows reads a recurring window off the wall clock: is now at or after from, and before to, in the cycle of a day or week?
func shows(w window, wall time.Time) bool {
	minute := func(day time.Weekday, clock time.Duration) int {
		m := int(clock / time.Minute)
		if w.from.kind == weekly {
			m += int(day) * 24 * 60
		}
		return m
	}
	now := minute(wall.Weekday(), time.Duration(wall.Hour())*time.Hour+time.Duration(wall.Minute())*time.Minute)
	from, to := minute(w.from.weekday, w.from.clock), minute(w.to.weekday, w.to.clock)
	if from < to {
		return from <= now && now < to
	}
	return now >= from || now < to
}

func TestCalendar(t *testing.T) {
	t.Parallel()
	zone := mustZone(t, "Europe/Amsterdam")
	win := func(from, to string) window {
		w, err := parseWindow(from, to, "")
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	weekend, night := win("Fri 16:00", "Mon 07:00"), win("22:00", "06:00")
	for _, tt := range []struct {
		name            string
		at              string
		windows, except []window
		inside          bool
		changes         string
	}{
		{"nothing", "2026-03-06T15:00:00Z", nil, nil, false, ""},
		{"a night that begins in a weekend ends after it", "2026-03-08T22:00:00Z", []window{weekend, night}, nil, true, "2026-03-09T06:00:00Z"},
		{"a Friday night goes over into the weekend", "2026-03-05T22:00:00Z", []window{weekend, night}, nil, true, "2026-03-06T05:00:00Z"},
		{"exceptions that cover a weekend push the freeze to the next", "2026-03-05T12:00:00Z", []window{weekend}, []window{win("2026-03-06", "2026-03-09")}, false, "2026-03-13T15:00:00Z"},
		{"an exception within a dated freeze", "2026-12-26T12:00:00Z", []window{win("2026-12-24", "2027-01-02")}, []window{win("2026-12-28 09:00", "2026-12-28 12:00")}, true, "2026-12-28T08:00:00Z"},
		{"a freeze over new year", "2026-12-31T23:00:00Z", []window{win("2026-12-24", "2027-01-02")}, nil, true, "2027-01-02T23:00:00Z"},
		{"a dated freeze that is over", "2027-01-02T23:00:00Z", []window{win("2026-12-24", "2027-01-02")}, nil, false, ""},
		{"seventy-one hours where the clocks go back", "2026-10-23T14:00:00Z", []window{weekend}, nil, true, "2026-10-26T06:00:00Z"},
		{"sixty-two hours where they go forward", "2026-03-27T15:00:00Z", []window{weekend}, nil, true, "2026-03-30T05:00:00Z"},
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		got := calendar(at, tt.windows, tt.except, zone)
		changes := ""
		if !got.changes.IsZero() {
			changes = got.changes.UTC().Format(time.RFC3339)
		}
		if got.inside != tt.inside || changes != tt.changes {
			t.Errorf("%s: calendar(%s) = %t, changes %q; want %t, %q", tt.name, tt.at, got.inside, changes, tt.inside, tt.changes)
		}
	}
}
