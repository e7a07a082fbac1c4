package render

import (
	"errors"
	"fmt"
	"strings"

	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// object is one resource of a build, as it may be shown.
type object struct {
	apiVersion, kind, namespace, name string

	fields map[string]any // as built
	text   string         // YAML as kustomize prints it, once show has run
	plain  func() (string, error)
}

var errUnprintable = errors.New("a resource cannot be printed as YAML")

// objectsOf takes a build apart. It keeps kustomize's order.
func objectsOf(built resmap.ResMap) ([]*object, error) {
	objects := make([]*object, 0, built.Size())
	for _, r := range built.Resources() {
		fields, err := r.Map()
		if err != nil {
			return nil, errUnprintable // err itself quotes the resource
		}
		objects = append(objects, &object{
			apiVersion: r.GetApiVersion(), kind: r.GetKind(), namespace: r.GetNamespace(), name: r.GetName(),
			fields: fields,
			plain: func() (string, error) {
				b, err := r.AsYAML()
				if err != nil {
					return "", errUnprintable
				}
				return string(b), nil
			},
		})
	}
	return objects, nil
}

// id is what makes two resources the same one before and after, whatever version of its API they use.
func (o *object) id() string {
	group, _, found := strings.Cut(o.apiVersion, "/")
	if !found {
		group = ""
	}
	return strings.Join([]string{group, o.kind, o.namespace, o.name}, "\x00")
}

// title is the heading of a resource in a diff.
func (o *object) title() string {
	name := o.name
	if o.namespace != "" {
		name = o.namespace + "/" + name
	}
	return fmt.Sprintf("%s %s", o.kind, name)
}

// change is a resource before and after, either of which may be nil.
type change struct{ before, after *object }

// pair finds the changes from one build to another: what stayed or came in the order of after, then what went. Resources whose
// names differ in kustomize's content hash alone are the same resource, if there is no doubt which.
func pair(before, after []*object) []change {
	old := map[string]*object{}
	for _, o := range before {
		old[o.id()] = o
	}
	changes := make([]change, 0, len(after))
	var came []int
	for _, o := range after {
		b := old[o.id()]
		delete(old, o.id())
		if b == nil {
			came = append(came, len(changes))
		}
		changes = append(changes, change{before: b, after: o})
	}
	gone := map[string][]*object{}
	for _, o := range before {
		if old[o.id()] == o {
			if id, ok := o.hashlessID(); ok {
				gone[id] = append(gone[id], o)
			}
		}
	}
	arrived := map[string]int{}
	for _, i := range came {
		if id, ok := changes[i].after.hashlessID(); ok {
			arrived[id]++
		}
	}
	for _, i := range came {
		if id, ok := changes[i].after.hashlessID(); ok && len(gone[id]) == 1 && arrived[id] == 1 {
			changes[i].before = gone[id][0]
			delete(old, gone[id][0].id())
		}
	}
	for _, o := range before {
		if old[o.id()] == o {
			changes = append(changes, change{before: o})
		}
	}
	return changes
}

func (o *object) hashlessID() (string, bool) {
	m := generatedName.FindStringSubmatch(o.name)
	if m == nil {
		return "", false
	}
	base := *o
	base.name = m[1]
	return base.id(), true
}

// show fills the text of every object, with the values of Secrets masked. flows says that a value of a Secret may have been
// copied into other resources; they are searched then.
func show(changes []change, before, after []*object, known *secretValues, flows bool) error {
	hashBefore, hashAfter := hashMasks(before, after)
	scrub := func(s string) string { return s }
	if flows {
		for _, o := range before {
			known.learnObject(o.fields)
		}
		for _, o := range after {
			known.learnObject(o.fields)
		}
		scrub = known.scrubber()
	}
	for _, c := range changes {
		var b, a map[string]any
		if c.before != nil {
			b = c.before.fields
		}
		if c.after != nil {
			a = c.after.fields
		}
		masked := maskSecrets(b, a)
		if c.before != nil {
			if err := c.before.print(masked, hashBefore, scrub); err != nil {
				return err
			}
		}
		if c.after != nil {
			if err := c.after.print(masked, hashAfter, scrub); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *object) print(masked bool, hashes *strings.Replacer, scrub func(string) string) error {
	text, err := o.plain()
	if masked {
		text, err = printFields(o.fields)
	}
	if err != nil {
		return err
	}
	o.text = scrub(hashes.Replace(text))
	o.name = hashes.Replace(o.name)
	return nil
}

// printFields prints as kustomize does.
func printFields(fields map[string]any) (string, error) {
	node, err := yaml.FromMap(fields)
	if err != nil {
		return "", errUnprintable
	}
	b, err := (&resource.Resource{RNode: *node}).AsYAML()
	if err != nil {
		return "", errUnprintable
	}
	return string(b), nil
}

// join puts a build together again.
func join(objects []*object) []byte {
	var b strings.Builder
	for i, o := range objects {
		if i > 0 {
			b.WriteString("---\n")
		}
		b.WriteString(o.text)
	}
	return []byte(b.String())
}
