package conform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
)

// restDocument is GitHub's description of its REST API.
type restDocument struct {
	spec       *openapi3.T
	operations map[string][]*operation // by method
	anyError   *openapi3.Schema        // what every refusal looks like; nil: the document does not tell
}

// operation is one method of one path.
type operation struct {
	name     string // GET /repos/{owner}/{repo}
	template string
	item     *openapi3.PathItem
	op       *openapi3.Operation
	names    []string       // of the parameters in the path, in order
	exact    *regexp.Regexp // each parameter is one segment
	loose    *regexp.Regexp // a parameter that may hold slashes does; nil: there is none
	literals int            // segments that are no parameters: of two that fit, the one with more is meant
}

// slashed are the parameters in which GitHub takes slashes as they are.
var slashed = []string{"ref", "branch", "basehead", "path"}

var parameter = regexp.MustCompile(`\{([^}]+)\}`)

func readREST(raw []byte) (*restDocument, error) {
	spec, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	d := &restDocument{spec: spec, operations: map[string][]*operation{}}
	for template, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			d.operations[method] = append(d.operations[method], newOperation(method, template, item, op))
		}
	}
	for _, list := range d.operations {
		slices.SortFunc(list, func(a, b *operation) int {
			if a.literals != b.literals {
				return b.literals - a.literals
			}
			return strings.Compare(a.template, b.template)
		})
	}
	if spec.Components != nil {
		if ref := spec.Components.Schemas["basic-error"]; ref != nil {
			d.anyError = ref.Value
		}
	}
	return d, nil
}

func newOperation(method, template string, item *openapi3.PathItem, op *openapi3.Operation) *operation {
	o := &operation{name: method + " " + template, template: template, item: item, op: op}
	var exact, loose strings.Builder
	mayHold := false
	rest := template
	for _, at := range parameter.FindAllStringSubmatchIndex(template, -1) {
		name := template[at[2]:at[3]]
		literal := regexp.QuoteMeta(template[len(template)-len(rest) : at[0]])
		rest = template[at[1]:]
		o.names = append(o.names, name)
		exact.WriteString(literal + "([^/]+)")
		loose.WriteString(literal)
		if slices.Contains(slashed, name) {
			loose.WriteString("(.+)")
			mayHold = true
		} else {
			loose.WriteString("([^/]+)")
		}
	}
	o.exact = regexp.MustCompile("^" + exact.String() + regexp.QuoteMeta(rest) + "$")
	if mayHold {
		o.loose = regexp.MustCompile("^" + loose.String() + regexp.QuoteMeta(rest) + "$")
	}
	for segment := range strings.SplitSeq(template, "/") {
		if !strings.Contains(segment, "{") {
			o.literals++
		}
	}
	return o
}

// find returns the operation that a path is meant for, with the values of its parameters; nil: the document has none.
func (d *restDocument) find(method, path string) (*operation, map[string]string) {
	for _, pattern := range []func(*operation) *regexp.Regexp{
		func(o *operation) *regexp.Regexp { return o.exact }, func(o *operation) *regexp.Regexp { return o.loose },
	} {
		for _, o := range d.operations[method] {
			fits := pattern(o)
			if fits == nil {
				continue
			}
			m := fits.FindStringSubmatch(path)
			if m == nil {
				continue
			}
			values := map[string]string{}
			for i, name := range o.names {
				value, err := url.PathUnescape(m[i+1])
				if err != nil {
					value = m[i+1]
				}
				values[name] = value
			}
			return o, values
		}
	}
	return nil, nil
}

// byID is how the API names a repository by its id: the document has these calls under the repository's name only.
var byID = regexp.MustCompile(`^/repositories/\d+(/.*)?$`)

// judge returns the name of the operation and what does not conform. Requests are the bot's and judged where asked.
func (d *restDocument) judge(e hub.Exchange, request bool) (name string, found []Finding) {
	path, isREST := strings.CutPrefix(e.Path, "/api/v3")
	if !isREST {
		name = e.Method + " " + e.Path
		return name, []Finding{{Subject: name, Problem: "is no operation of the REST API"}}
	}
	if m := byID.FindStringSubmatch(path); m != nil {
		found = append(found, Finding{Subject: e.Method + " /repositories/{id}" + patternOf(m[1]), Problem: "is not in the document"})
		path = "/repos/owner/repository" + m[1]
	}
	o, values := d.find(e.Method, path)
	if o == nil {
		name = e.Method + " " + patternOf(path)
		return name, append(found, Finding{Subject: name, Problem: "is not in the document"})
	}
	if request {
		found = append(found, d.judgeRequest(o, e, values)...)
	}
	return o.name, append(found, d.judgeAnswer(o, e)...)
}

// patternOf makes paths that differ by ids only the same.
func patternOf(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if i > 1 && (strings.Trim(s, "0123456789") == "" || len(s) >= 40) {
			segments[i] = "*"
		}
	}
	return strings.Join(segments, "/")
}

func (d *restDocument) judgeRequest(o *operation, e hub.Exchange, values map[string]string) (found []Finding) {
	at := func(part, where, problem string) {
		found = append(found, Finding{Subject: o.name, Part: part, At: where, Problem: problem})
	}
	r, err := http.NewRequestWithContext(context.Background(), e.Method, "http://api.github.com"+o.template, bytes.NewReader(e.Body))
	if err != nil {
		at("request", "", err.Error())
		return found
	}
	r.URL.RawQuery, r.Header = e.Query, e.Header.Clone()
	err = openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: values,
		Route: &routers.Route{Spec: d.spec, Path: o.template, PathItem: o.item, Method: e.Method, Operation: o.op},
		Options: &openapi3filter.Options{
			MultiError: true, SkipSettingDefaults: true, RejectWhenRequestBodyNotSpecified: true,
			AuthenticationFunc:      openapi3filter.NoopAuthenticationFunc, // the document names no way to prove oneself
			SchemaValidationOptions: []openapi3.SchemaValidationOption{formats()},
		},
	})
	for _, e := range flatten(err) {
		var wrong *openapi3filter.RequestError
		if !errors.As(e, &wrong) {
			at("request", "", e.Error())
			continue
		}
		part := "request body"
		if wrong.Parameter != nil {
			part = wrong.Parameter.In + " " + wrong.Parameter.Name
		}
		for _, inner := range flatten(wrong.Err) {
			where, problem := explain(inner)
			if problem == "" {
				problem = wrong.Reason
			}
			at(part, where, problem)
		}
	}
	documented := map[string]bool{}
	for _, list := range []openapi3.Parameters{o.item.Parameters, o.op.Parameters} {
		for _, p := range list {
			if p.Value.In == openapi3.ParameterInQuery {
				documented[p.Value.Name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.URL.Query())) {
		if !documented[name] {
			at("query "+name, "", "is not documented")
		}
	}
	if o.op.RequestBody == nil || len(e.Body) == 0 {
		return found
	}
	if media := o.op.RequestBody.Value.Content.Get(e.Header.Get("Content-Type")); media != nil && media.Schema != nil {
		var body any
		if json.Unmarshal(e.Body, &body) == nil {
			for _, where := range undocumented([]*openapi3.Schema{media.Schema.Value}, body, "") {
				at("request body", where, "is not documented")
			}
		}
	}
	return found
}

func (d *restDocument) judgeAnswer(o *operation, e hub.Exchange) (found []Finding) {
	part := "answer " + strconv.Itoa(e.Status)
	at := func(where, problem string) {
		found = append(found, Finding{Subject: o.name, Part: part, At: where, Problem: problem})
	}
	var schema *openapi3.Schema
	ref := o.op.Responses.Status(e.Status)
	if ref == nil {
		ref = o.op.Responses.Default()
	}
	contentType := e.AnswerHeader.Get("Content-Type")
	switch {
	case ref == nil:
		if media, _, _ := mime.ParseMediaType(contentType); media != "application/json" {
			at("", "is not documented and no JSON")
			return found
		}
		at("", "is not documented")
		schema = d.anyError
	case len(ref.Value.Content) == 0:
		if len(e.Answer) > 0 && e.Status == http.StatusNoContent {
			at("", "has a body")
		}
		return found
	default:
		media := ref.Value.Content.Get(contentType)
		if media == nil {
			at("", fmt.Sprintf("has the content type %q, the document %v", contentType, slices.Sorted(maps.Keys(ref.Value.Content))))
			return found
		}
		if media.Schema != nil {
			schema = media.Schema.Value
		}
	}
	if schema == nil {
		return found
	}
	var body any
	if err := json.Unmarshal(e.Answer, &body); err != nil {
		at("", "is no JSON: "+err.Error())
		return found
	}
	err := schema.VisitJSON(body, openapi3.MultiErrors(), openapi3.VisitAsResponse(), formats())
	for _, e := range flatten(err) {
		at(explain(e))
	}
	for _, where := range undocumented([]*openapi3.Schema{schema}, body, "") {
		at(where, "is not documented")
	}
	return found
}

// formats has what the document means by its names of formats and the library does not know.
func formats() openapi3.SchemaValidationOption {
	return openapi3.WithStringFormatValidators(map[string]openapi3.StringFormatValidator{
		"uri": openapi3.NewCallbackValidator(func(text string) error {
			if u, err := url.Parse(text); err != nil || !u.IsAbs() {
				return errors.New("is no absolute URI")
			}
			return nil
		}),
		"uri-template": openapi3.NewCallbackValidator(func(text string) error {
			if !isTemplate(text) {
				return errors.New("is no URI template")
			}
			return nil
		}),
	})
}

var expressions = regexp.MustCompile(`\{[^{}]*\}`)

// isTemplate tells whether a text is an absolute address once its expressions are taken out.
func isTemplate(text string) bool {
	plain := expressions.ReplaceAllString(text, "")
	u, err := url.Parse(plain)
	return err == nil && u.IsAbs() && !strings.ContainsAny(plain, "{}")
}

// flatten takes errors that hold several apart, and leaves out what is none: a value that is the schema's own default, as the empty
// text that the document gives to addresses which must be URIs.
func flatten(err error) []error {
	switch e := err.(type) {
	case nil:
		return nil
	case *openapi3.SchemaError:
		if text, ok := e.Value.(string); ok && e.SchemaField == "format" && e.Schema.Default == text {
			return nil
		}
	case openapi3.MultiError:
		var all []error
		for _, inner := range e {
			all = append(all, flatten(inner)...)
		}
		return all
	}
	return []error{err}
}

// explain says where a value is wrong and why, without the value.
func explain(err error) (where, problem string) {
	var wrong *openapi3.SchemaError
	if !errors.As(err, &wrong) {
		if err == nil {
			return "", ""
		}
		return "", err.Error()
	}
	if problem = wrong.Reason; wrong.SchemaField == "format" {
		problem = "is no " + wrong.Schema.Format
	} else if wrong.Origin != nil { // of a list of alternatives: why each does not fit
		problem += ": " + cut(wrong.Origin.Error(), 600)
	}
	return pointer(wrong.JSONPointer()), strings.Join(strings.Fields(problem), " ")
}

// pointer writes a place in a body, with the same text for each element of a list.
func pointer(steps []string) string {
	var text strings.Builder
	for _, step := range steps {
		if strings.Trim(step, "0123456789") == "" {
			step = "*"
		}
		text.WriteString("/" + step)
	}
	return text.String()
}

func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}
