package gate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// functions are what policies can call beside CEL's standard library. All are pure; what they cost grows with what they read
// and write. Package policies describes them for writers of policies.
type functions struct {
	adapter types.Adapter
	zones   *zones
	window  *structType
	season  *structType
}

func newFunctions(adapter types.Adapter, zones *zones) *functions {
	return &functions{
		adapter: adapter,
		zones:   zones,
		window: newStructType("Window", []structField{
			{name: "from", typ: types.StringType},
			{name: "to", typ: types.StringType},
			{name: "why", typ: types.StringType, lack: "the window has no why"},
		}),
		season: newStructType("Season", []structField{
			{name: "inside", typ: types.BoolType},
			{name: "changes", typ: types.TimestampType, lack: "no change of the calendar is in sight"},
			{name: "text", typ: types.StringType},
		}),
	}
}

// types are the structs that the functions take and give.
func (f *functions) types() []*structType { return []*structType{f.window, f.season} }

// declare adds the functions to an environment; costs charges for them in a program.
func (f *functions) declare() []cel.EnvOption {
	str, strs, times, windows := types.StringType, types.NewListType(types.StringType), types.NewListType(types.TimestampType), types.NewListType(f.window.cel)
	member := func(name, id string, result *cel.Type, op func(...ref.Val) ref.Val, args ...*cel.Type) cel.EnvOption {
		return cel.Function(name, cel.MemberOverload(id, args, result, cel.FunctionBinding(op)))
	}
	return []cel.EnvOption{
		member("join", "list_join_string", str, f.join, strs, str),
		member("distinct", "list_distinct", strs, f.distinct, strs),
		member("handle", "string_handle", str, f.handle, str),
		member("short", "string_short", str, f.short, str),
		member("text", "list_text", str, f.listText, strs),
		member("text", "duration_text", str, f.durationText, types.DurationType),
		member("text", "timestamp_text", str, f.timestampText, types.TimestampType),
		member("text", "timestamp_text_zone", str, f.timestampText, types.TimestampType, str),
		cel.Function("latest", cel.Overload("latest_list", []*cel.Type{times}, types.TimestampType, cel.FunctionBinding(f.latest))),
		cel.Function("earliest", cel.Overload("earliest_list", []*cel.Type{times}, types.TimestampType, cel.FunctionBinding(f.earliest))),
		cel.Function("window", cel.Overload("window_strings", []*cel.Type{str, str}, f.window.cel, cel.FunctionBinding(f.newWindow))),
		cel.Function("windowError", cel.Overload("window_error_strings", []*cel.Type{str, str}, str, cel.FunctionBinding(f.windowError))),
		cel.Function("season", cel.Overload("season_windows", []*cel.Type{types.TimestampType, types.NewListType(windows), windows, str}, f.season.cel,
			cel.FunctionBinding(f.seasonOf))),
	}
}

// costs charges a call by the size of its arguments and result.
func (f *functions) costs() cel.ProgramOption {
	var options []interpreter.CostTrackerOption
	charge := func(factor uint64, ids ...string) {
		for _, id := range ids {
			options = append(options, interpreter.OverloadCostTracker(id, func(args []ref.Val, result ref.Val) *uint64 {
				cost := factor * (1 + size(result))
				for _, arg := range args {
					cost += factor * size(arg)
				}
				return &cost
			}))
		}
	}
	charge(1, "list_join_string", "list_distinct", "string_handle", "string_short", "list_text", "latest_list", "earliest_list")
	charge(10, "duration_text", "timestamp_text", "timestamp_text_zone", "window_strings", "window_error_strings")
	options = append(options, interpreter.OverloadCostTracker("season_windows", func(args []ref.Val, _ ref.Val) *uint64 {
		windows := 1 + size(args[2])
		each(args[1], func(list traits.Lister) { windows += size(list) })
		cost := 3000 * windows
		return &cost
	}))
	return cel.CostTrackerOptions(options...)
}

func size(v ref.Val) uint64 {
	if s, ok := v.(traits.Sizer); ok {
		return uint64(s.Size().(types.Int))
	}
	return 1
}

// each walks a list that the compiler checked to be of T.
func each[T ref.Val](list ref.Val, do func(T)) {
	for it := list.(traits.Lister).Iterator(); it.HasNext() == types.True; {
		if v, ok := it.Next().(T); ok {
			do(v)
		}
	}
}

func stringsOf(list ref.Val) []string {
	var s []string
	each(list, func(v types.String) { s = append(s, string(v)) })
	return s
}

// maxText bounds what join and text write, so that no policy can fill the memory before its cost is charged.
const maxText = 64 << 10

func (f *functions) join(args ...ref.Val) ref.Val {
	list, separator := stringsOf(args[0]), string(args[1].(types.String))
	length := len(list) * len(separator)
	for _, s := range list {
		length += len(s)
	}
	if length > maxText {
		return types.NewErr("join would write more than %d bytes", maxText)
	}
	return types.String(strings.Join(list, separator))
}

// distinct keeps the first of equal strings, and the order.
func (f *functions) distinct(args ...ref.Val) ref.Val {
	seen := map[string]bool{}
	var kept []string
	for _, s := range stringsOf(args[0]) {
		if !seen[s] {
			seen[s] = true
			kept = append(kept, s)
		}
	}
	return types.NewStringList(f.adapter, kept)
}

// handle makes names of people and teams comparable: lower case, without a leading @ or a trailing /.
func (f *functions) handle(args ...ref.Val) ref.Val {
	return types.String(Handle(string(args[0].(types.String))))
}

// short cuts a digest to its first twelve hexadecimal digits.
func (f *functions) short(args ...ref.Val) ref.Val {
	s := string(args[0].(types.String))
	if _, hex, ok := strings.Cut(s, ":"); ok && len(hex) > 12 {
		return types.String(hex[:12])
	}
	return args[0]
}

// listText writes a list for people: "a, b and c", at most seven, then how many more there are.
func (f *functions) listText(args ...ref.Val) ref.Val {
	list := stringsOf(args[0])
	const most = 7
	if more := len(list) - most; more > 1 {
		list = append(slices.Clone(list[:most]), fmt.Sprintf("%d more", more))
	}
	last := len(list) - 1
	if last < 1 {
		return types.String(strings.Join(list, ""))
	}
	text := strings.Join(list[:last], ", ") + " and " + list[last]
	if len(text) > maxText {
		return types.NewErr("text would write more than %d bytes", maxText)
	}
	return types.String(text)
}

func (f *functions) durationText(args ...ref.Val) ref.Val {
	return types.String(durationText(args[0].(types.Duration).Duration))
}

// durationText writes a duration for people: "2 d 3 h", "30 min", "45 s".
func durationText(d time.Duration) string {
	if d < 0 {
		return "-" + durationText(-d)
	}
	if d < time.Second {
		return d.String()
	}
	var parts []string
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := d / unit.size; n > 0 {
			parts = append(parts, strconv.FormatInt(int64(n), 10)+" "+unit.name)
			d -= n * unit.size
		}
	}
	return strings.Join(parts, " ")
}

// timestampText writes a moment for people, in UTC or with its weekday in a time zone. Seconds are left out where they are zero.
func (f *functions) timestampText(args ...ref.Val) ref.Val {
	t, layout := args[0].(types.Timestamp).UTC(), "2006-01-02 15:04"
	if len(args) == 2 {
		zone, err := f.zones.load(string(args[1].(types.String)))
		if err != nil {
			return types.NewErr("%v", err)
		}
		t, layout = t.In(zone), "Mon 2006-01-02 15:04"
	}
	if t = t.Truncate(time.Second); t.Second() != 0 {
		layout += ":05"
	}
	return types.String(t.Format(layout + " MST"))
}

func (f *functions) latest(args ...ref.Val) ref.Val {
	return extreme(args[0], func(a, b time.Time) bool { return a.After(b) })
}

func (f *functions) earliest(args ...ref.Val) ref.Val {
	return extreme(args[0], func(a, b time.Time) bool { return a.Before(b) })
}

func extreme(list ref.Val, better func(a, b time.Time) bool) ref.Val {
	var best *types.Timestamp
	each(list, func(t types.Timestamp) {
		if best == nil || better(t.Time, best.Time) {
			best = &t
		}
	})
	if best == nil {
		return types.NewErr("there is no time to choose from")
	}
	return *best
}

func (f *functions) newWindow(args ...ref.Val) ref.Val {
	from, to := string(args[0].(types.String)), string(args[1].(types.String))
	if _, err := parseWindow(from, to, ""); err != nil {
		return types.NewErr("%v", err)
	}
	return &object{f.window, []ref.Val{args[0], args[1], nil}}
}

// windowError says what is wrong with the ends of a window; nothing if they are fine. Policies ask it about their parameters.
func (f *functions) windowError(args ...ref.Val) ref.Val {
	if _, err := parseWindow(string(args[0].(types.String)), string(args[1].(types.String)), ""); err != nil {
		return types.String(err.Error())
	}
	return types.String("")
}

func (f *functions) seasonOf(args ...ref.Val) ref.Val {
	zone, err := f.zones.load(string(args[3].(types.String)))
	if err != nil {
		return types.NewErr("%v", err)
	}
	count := 0
	read := func(list ref.Val) (windows []window) {
		each(list, func(o *object) {
			if count++; count > maxWindows {
				return
			}
			text := func(i int) string { s, _ := o.values[i].(types.String); return string(s) }
			w, wrong := parseWindow(text(0), text(1), text(2))
			if wrong != nil {
				err = wrong
			}
			windows = append(windows, w)
		})
		return windows
	}
	var windows []window
	each(args[1], func(list traits.Lister) { windows = append(windows, read(list)...) })
	except := read(args[2])
	if count > maxWindows {
		return types.NewErr("more than %d windows", maxWindows)
	}
	if err != nil {
		return types.NewErr("%v", err)
	}
	s := calendar(args[0].(types.Timestamp).Time, windows, except, zone)
	o := &object{f.season, []ref.Val{types.Bool(s.inside), nil, types.String(s.text)}}
	if !s.changes.IsZero() {
		o.values[1] = types.Timestamp{Time: s.changes.UTC()}
	}
	return o
}

// zones keeps time zones that were read once. The zero value is ready for use, by many at a time.
type zones struct{ known sync.Map }

// load finds a zone by its IANA name. UTC has to be written; the machine's own zone is refused, as it differs between machines.
func (z *zones) load(name string) (*time.Location, error) {
	if zone, ok := z.known.Load(name); ok {
		return zone.(*time.Location), nil
	}
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("%q is no time zone: write its IANA name, as Europe/Amsterdam or UTC", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is no time zone: write its IANA name, as Europe/Amsterdam or UTC", name)
	}
	z.known.Store(name, zone)
	return zone, nil
}
