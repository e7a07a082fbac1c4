package registry

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// text is a field that is no reason to refuse a body: where it is neither a string nor a number, it reads as empty. Fields that
// say what was pushed are plain strings instead.
type text string

// UnmarshalJSON never fails.
func (t *text) UnmarshalJSON(b []byte) error {
	*t = ""
	switch {
	case len(b) == 0:
	case len(b) > 1 && b[0] == '"':
		if plain := b[1 : len(b)-1]; !bytes.ContainsRune(plain, '\\') && utf8.Valid(plain) { // nearly always, and cheaper
			*t = text(plain)
			return nil
		}
		var s string
		if json.Unmarshal(b, &s) == nil {
			*t = text(s)
		}
	case b[0] == '-' || b[0] >= '0' && b[0] <= '9':
		*t = text(b)
	}
	return nil
}

// moment is a time in any of the forms in which senders write one: RFC 3339, with the zone as +0000, or seconds since 1970 as
// a whole number, a fraction or a string. What is none of these is the zero time; so is a time without a zone, which nobody
// can place.
type moment struct{ time.Time }

// UnmarshalJSON never fails.
func (m *moment) UnmarshalJSON(b []byte) error {
	var t text
	_ = t.UnmarshalJSON(b) // never fails
	m.Time = parseMoment(string(t))
	return nil
}

func parseMoment(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"} {
		if len(s) < len("2006-01-02T15:04:05Z") {
			break
		}
		if at, err := time.Parse(layout, s); err == nil {
			return checkTime(at)
		}
	}
	if seconds, err := strconv.ParseFloat(s, 64); err == nil && !strings.ContainsAny(s, "xXpP_") && seconds > 0 && seconds < 253402300800 {
		whole, fraction := math.Modf(seconds)
		return checkTime(time.Unix(int64(whole), int64(fraction*1e6)*1000))
	}
	return time.Time{}
}
