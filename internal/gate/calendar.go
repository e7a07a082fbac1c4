package gate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// moment is one end of a window as people write it: "Fri 16:00" every week, "22:00" every day, or a date with or without a time.
type moment struct {
	kind    momentKind
	weekday time.Weekday // weekly
	date    time.Time    // dated: midnight UTC of the day; only its date counts
	clock   time.Duration
	bare    bool // dated, without a time of day
}

type momentKind string

const (
	weekly momentKind = "a weekday and a time"
	daily  momentKind = "a time of day"
	dated  momentKind = "a date"
)

// parseMoment reads "Fri 16:00", "Friday 16:00", "22:00", "24:00", "2026-12-24" or "2026-12-24 18:00".
func parseMoment(s string) (moment, error) {
	wrong := fmt.Errorf(`%q is no moment: write "Fri 16:00", "22:00", "2026-12-24" or "2026-12-24 18:00"`, s)
	day, clock, two := strings.Cut(strings.Join(strings.Fields(s), " "), " ")
	if !two {
		if date, err := time.Parse(time.DateOnly, day); err == nil {
			return moment{kind: dated, date: date, bare: true}, nil
		}
		at, ok := parseClock(day)
		if !ok {
			if _, isDay := parseWeekday(day); isDay {
				return moment{}, fmt.Errorf("%q lacks a time of day: write %q", s, day+" 00:00")
			}
			return moment{}, wrong
		}
		return moment{kind: daily, clock: at}, nil
	}
	at, ok := parseClock(clock)
	if !ok {
		return moment{}, wrong
	}
	if weekday, ok := parseWeekday(day); ok {
		return moment{kind: weekly, weekday: weekday, clock: at}, nil
	}
	date, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return moment{}, wrong
	}
	return moment{kind: dated, date: date, clock: at}, nil
}

func parseClock(s string) (time.Duration, bool) {
	if s == "24:00" {
		return 24 * time.Hour, true
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, false
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, true
}

func parseWeekday(s string) (time.Weekday, bool) {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if name := day.String(); strings.EqualFold(s, name) || strings.EqualFold(s, name[:3]) {
			return day, true
		}
	}
	return 0, false
}

// window is a span of time, once or again and again.
type window struct {
	from, to moment
	text     string // as people read it
}

// parseWindow joins both ends. Both must be of one kind. A date without a time stands for the whole day at both ends.
func parseWindow(from, to, why string) (window, error) {
	f, err := parseMoment(from)
	if err != nil {
		return window{}, fmt.Errorf("from: %w", err)
	}
	t, err := parseMoment(to)
	if err != nil {
		return window{}, fmt.Errorf("to: %w", err)
	}
	if f.kind != t.kind {
		return window{}, fmt.Errorf("from is %s, but to is %s", f.kind, t.kind)
	}
	if t.bare {
		t.clock = 24 * time.Hour
	}
	switch {
	case f.kind == dated && !f.date.Add(f.clock).Before(t.date.Add(t.clock)):
		return window{}, errors.New("it ends before it begins")
	case f.kind == daily && f.clock%(24*time.Hour) == t.clock%(24*time.Hour) && t.clock != 24*time.Hour,
		f.kind == weekly && f.weekday == t.weekday && f.clock == t.clock:
		return window{}, errors.New("it ends when it begins")
	case f.kind != dated && f.clock == 24*time.Hour:
		return window{}, errors.New("from: a day begins at 00:00")
	}
	text := strings.Join(strings.Fields(from+" to "+to), " ")
	if why != "" {
		text += " (" + why + ")"
	}
	return window{f, t, text}, nil
}

// span is one occurrence of a window: from start, until just before end.
type span struct{ start, end time.Time }

func (s span) contains(t time.Time) bool { return !t.Before(s.start) && t.Before(s.end) }

// spans are the occurrences of the window that began in the eight days before t or begin in the eight days after it; of a dated
// window the only one there is. A window that daylight saving swallows whole has no occurrence on that day.
func (w window) spans(t time.Time, zone *time.Location) []span {
	if w.from.kind == dated {
		return []span{{instant(w.from.date, w.from.clock, zone, false), instant(w.to.date, w.to.clock, zone, true)}}
	}
	days := 0
	if w.from.kind == weekly {
		days = (int(w.to.weekday) - int(w.from.weekday) + 7) % 7
	}
	if days == 0 && w.to.clock <= w.from.clock {
		days = map[momentKind]int{weekly: 7, daily: 1}[w.from.kind]
	}
	year, month, day := t.In(zone).Date()
	var spans []span
	for d := -8; d <= 8; d++ {
		date := time.Date(year, month, day+d, 0, 0, 0, 0, time.UTC)
		if w.from.kind == weekly && date.Weekday() != w.from.weekday {
			continue
		}
		s := span{instant(date, w.from.clock, zone, false), instant(date.AddDate(0, 0, days), w.to.clock, zone, true)}
		if s.start.Before(s.end) {
			spans = append(spans, s)
		}
	}
	return spans
}

// instant is when the clocks of a zone show the time on the date. Where they show it twice it is the later one if late is set,
// else the earlier one; where they skip it, the moment of the skip.
func instant(date time.Time, clock time.Duration, zone *time.Location, late bool) time.Time {
	wall := time.Date(date.Year(), date.Month(), date.Day(), 0, 0, 0, 0, time.UTC).Add(clock)
	under := func(at time.Time) time.Time { // the instant, if the offset in force at that other instant were in force
		_, offset := at.In(zone).Zone()
		return wall.Add(-time.Duration(offset) * time.Second)
	}
	shows := func(t time.Time) bool {
		_, offset := t.In(zone).Zone()
		return t.Add(time.Duration(offset) * time.Second).Equal(wall)
	}
	// No offset exceeds 36 hours, and no two changes of the clocks lie that close together.
	before, after := under(wall.Add(-36*time.Hour)), under(wall.Add(36*time.Hour))
	switch {
	case shows(before) && shows(after) && late == after.After(before):
		return after
	case shows(before):
		return before
	case shows(after):
		return after
	}
	start, _ := before.In(zone).ZoneBounds()
	return start
}

// season is what a calendar says of an instant.
type season struct {
	inside  bool
	changes time.Time // when inside turns to its opposite; zero if that is not in sight
	text    string    // the windows that contain the instant, else those that come next; empty if none does
}

// maxWindows bounds the work of a calendar.
const maxWindows = 64

// calendar tells whether t lies in one of the windows but in none of the exceptions, and when that changes. It looks at most
// 256 beginnings and ends ahead.
func calendar(t time.Time, windows, except []window, zone *time.Location) season {
	at := func(t time.Time) (inside bool, texts []string, next time.Time) {
		excepted := false
		look := func(w window) (hit bool) {
			for _, s := range w.spans(t, zone) {
				hit = hit || s.contains(t)
				for _, edge := range [2]time.Time{s.start, s.end} {
					if edge.After(t) && (next.IsZero() || edge.Before(next)) {
						next = edge
					}
				}
			}
			return hit
		}
		for _, w := range except {
			excepted = look(w) || excepted
		}
		for _, w := range windows {
			if look(w) {
				texts = append(texts, w.text)
			}
		}
		return len(texts) > 0 && !excepted, texts, next
	}
	inside, texts, next := at(t)
	s := season{inside: inside}
	if inside {
		s.text = strings.Join(slices.Compact(texts), ", ")
	}
	for range 256 {
		if next.IsZero() {
			return s
		}
		there, texts, then := at(next)
		if there != inside {
			s.changes = next
			if there {
				s.text = strings.Join(slices.Compact(texts), ", ")
			}
			return s
		}
		next = then
	}
	return s
}
