package gate

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/boatlift/boatlift/internal/image"
)

// Parameter is what a policy can be told in a configuration file.
type Parameter struct {
	Name        string   `json:"name"`
	Type        string   `json:"type"` // string, bool, int, duration, zone, digest, regex, moment, window, or list(one of them)
	Required    bool     `json:"required,omitempty"`
	Default     any      `json:"default,omitempty"` // as written in the policy's file; nil if there is none
	Values      []string `json:"values,omitempty"`  // the only texts allowed; empty if all are
	Description string   `json:"description"`
}

// What a parameter may hold at most, so that evaluation stays bounded.
const (
	maxItems = 1000
	maxChars = 2000
)

// paramType reads and checks values of one parameter type.
type paramType struct {
	cel  *types.Type
	read func(raw any) (ref.Val, error)
}

// valueError is what is wrong with a value, and where inside it.
type valueError struct {
	path, reason string
}

func (e *valueError) Error() string { return e.reason }

func (p *parameterTypes) of(name string) (paramType, error) {
	if t, ok := p.scalars[name]; ok {
		return t, nil
	}
	inner, ok := strings.CutPrefix(name, "list(")
	if inner, ok2 := strings.CutSuffix(inner, ")"); ok && ok2 {
		if elem, ok := p.scalars[inner]; ok {
			return p.list(inner, elem), nil
		}
	}
	known := slices.Sorted(maps.Keys(p.scalars))
	return paramType{}, fmt.Errorf("%q is no parameter type: write one of %s, or list(…) of one", name, strings.Join(known, ", "))
}

// parameterTypes are all types that a policy's file can name.
type parameterTypes struct {
	adapter types.Adapter
	scalars map[string]paramType
}

func newParameterTypes(f *functions) *parameterTypes {
	text := func(check func(s string) error) paramType {
		return paramType{types.StringType, func(raw any) (ref.Val, error) {
			s, ok := raw.(string)
			if !ok {
				return nil, fmt.Errorf("%s is not text: write it in quotes", shown(raw))
			}
			if len(s) > maxChars {
				return nil, fmt.Errorf("it is longer than %d characters", maxChars)
			}
			if err := check(s); err != nil {
				return nil, err
			}
			return types.String(s), nil
		}}
	}
	return &parameterTypes{f.adapter, map[string]paramType{
		"string": text(func(string) error { return nil }),
		"digest": text(func(s string) error { _, err := image.ParseDigest(s); return err }),
		"regex":  text(checkRegex),
		"zone":   text(func(s string) error { _, err := f.zones.load(s); return err }),
		"moment": text(func(s string) error { _, err := parseMoment(s); return err }),
		"bool": {types.BoolType, func(raw any) (ref.Val, error) {
			if b, ok := raw.(bool); ok {
				return types.Bool(b), nil
			}
			return nil, fmt.Errorf("%s is neither true nor false", shown(raw))
		}},
		"int": {types.IntType, func(raw any) (ref.Val, error) {
			if n, ok := integer(raw); ok {
				return types.Int(n), nil
			}
			return nil, fmt.Errorf("%s is no whole number", shown(raw))
		}},
		"duration": {types.DurationType, func(raw any) (ref.Val, error) {
			switch raw := raw.(type) {
			case time.Duration:
				return types.Duration{Duration: raw}, nil
			case string:
				d, err := parseDuration(raw)
				return types.Duration{Duration: d}, err
			}
			return nil, fmt.Errorf("%s is no duration: write a number with its unit, as 30m, 12h or 7d", shown(raw))
		}},
		"window": {f.window.cel, func(raw any) (ref.Val, error) { return readWindow(f.window, raw) }},
	}}
}

func (p *parameterTypes) list(name string, elem paramType) paramType {
	return paramType{types.NewListType(elem.cel), func(raw any) (ref.Val, error) {
		var items []any
		switch raw := raw.(type) {
		case []any:
			items = raw
		case []string:
			for _, s := range raw {
				items = append(items, s)
			}
		default:
			return nil, fmt.Errorf("%s is no list: write [%s, …]", shown(raw), name)
		}
		if len(items) > maxItems {
			return nil, fmt.Errorf("it has more than %d items", maxItems)
		}
		values := make([]ref.Val, len(items))
		for i, item := range items {
			v, err := elem.read(item)
			if err != nil {
				return nil, within(fmt.Sprintf("[%d]", i), err)
			}
			values[i] = v
		}
		return types.NewRefValList(p.adapter, values), nil
	}}
}

// within tells that the error lies inside a part of the value.
func within(part string, err error) error {
	var inner *valueError
	if errors.As(err, &inner) {
		return &valueError{part + inner.path, inner.reason}
	}
	return &valueError{part, err.Error()}
}

func readWindow(t *structType, raw any) (ref.Val, error) {
	m, ok := raw.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s is no window: write {from: …, to: …}", shown(raw))
	}
	o := &object{t, make([]ref.Val, len(t.fields))}
	var text [3]string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		i, ok := t.index[key]
		if !ok {
			return nil, within("."+key, fmt.Errorf("a window has from, to and why, but no %q", key))
		}
		s, ok := m[key].(string)
		if !ok {
			return nil, within("."+key, fmt.Errorf("%s is not text: write it in quotes", shown(m[key])))
		}
		if len(s) > maxChars {
			return nil, within("."+key, fmt.Errorf("it is longer than %d characters", maxChars))
		}
		text[i], o.values[i] = s, types.String(s)
	}
	for i, name := range []string{"from", "to"} {
		if o.values[i] == nil {
			return nil, fmt.Errorf("the window lacks %s", name)
		}
	}
	if _, err := parseWindow(text[0], text[1], text[2]); err != nil {
		return nil, err
	}
	return o, nil
}

// checkRegex tells whether Go's regular expressions take the pattern, alone and as a policy anchors it.
func checkRegex(s string) error {
	_, err := regexp.Compile(s)
	if err == nil {
		_, err = regexp.Compile("^(?:" + s + ")$")
	}
	if err != nil {
		return fmt.Errorf("%q is no regular expression: %s", s, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return nil
}

// integer reads what YAML and JSON make of whole numbers.
func integer(raw any) (int64, bool) {
	switch n := raw.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case uint64:
		return int64(n), n <= math.MaxInt64
	case float64:
		return int64(n), n == math.Trunc(n) && math.Abs(n) < 1<<53
	}
	return 0, false
}

var daysPattern = regexp.MustCompile(`^(?:(\d{1,5})w)?(?:(\d{1,5})d)?(.*)$`)

// parseDuration reads Go's durations, and before them weeks and days of 24 hours: 1w2d, 7d, 1d12h, 30m. Not negative.
func parseDuration(s string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is no duration: write a number with its unit, as 30m, 12h or 7d", s)
	parts := daysPattern.FindStringSubmatch(s)
	if s == "" || parts == nil {
		return 0, wrong
	}
	var d time.Duration
	for i, unit := range []time.Duration{7 * 24 * time.Hour, 24 * time.Hour} {
		if parts[i+1] != "" {
			n, err := strconv.Atoi(parts[i+1])
			if err != nil {
				return 0, wrong
			}
			d += time.Duration(n) * unit
		}
	}
	if parts[3] != "" {
		rest, err := time.ParseDuration(parts[3])
		if err != nil {
			return 0, wrong
		}
		if strings.ContainsAny(parts[3], "+-") {
			return 0, fmt.Errorf("%q has a sign: durations are not negative", s)
		}
		d += rest
	}
	if d < 0 || d > 100*365*24*time.Hour {
		return 0, fmt.Errorf("%q is longer than a hundred years", s)
	}
	return d, nil
}

// shown is a value for an error, cut to a size that fits a sentence.
func shown(raw any) string {
	var text string
	switch raw := raw.(type) {
	case nil:
		return "nothing"
	case string:
		text = strconv.Quote(raw)
	case []any, []string:
		return "a list"
	case map[string]any:
		return "a map"
	default:
		text = fmt.Sprint(raw)
	}
	if runes := []rune(text); len(runes) > 60 {
		text = string(runes[:60]) + "…"
	}
	return text
}
