package kustomize

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Reference is something that a kustomization reads: a file, a directory, or a remote place.
type Reference struct {
	Field  string // the key that names it: resources, bases, components, generators, transformers or validators
	Line   int    // 1-based
	Path   string // as written
	Remote bool   // kustomize would fetch it, with git or HTTP, unless a local path of that name exists
	Ref    string // of a remote one the branch, tag or commit it asks for; "" for the default branch
}

// Clean is where a local reference of the kustomization in dir leads, both slash-separated and relative to the repository's root.
// ok is false where it leads out of the repository or is remote or absolute.
func (r Reference) Clean(dir string) (target string, ok bool) {
	if r.Remote || path.IsAbs(r.Path) || path.IsAbs(dir) {
		return "", false
	}
	target = path.Join(dir, r.Path)
	return target, target != ".." && !strings.HasPrefix(target, "../")
}

// LocalReferences lists the relative paths that a kustomization reads, in the order of the file: what two environments both
// reach this way is shared. The error is a [*RefusedError] without a file name.
func LocalReferences(src []byte) ([]Reference, error) {
	return references(src, func(r Reference) bool { return !r.Remote && !path.IsAbs(r.Path) })
}

// RemoteReferences lists what a kustomization would fetch, in the order of the file. The error is a [*RefusedError] without a
// file name.
func RemoteReferences(src []byte) ([]Reference, error) {
	return references(src, func(r Reference) bool { return r.Remote })
}

func references(src []byte, keep func(Reference) bool) ([]Reference, error) {
	d, err := parse("", src)
	if err != nil {
		return nil, err
	}
	var out []Reference
	for _, found := range d.references() {
		if keep(found.Reference) {
			out = append(out, found.Reference)
		}
	}
	return out, nil
}

// reference is a Reference and the scalar that holds it.
type reference struct {
	Reference
	node *yaml.Node
}

func (d *document) references() []reference {
	if d.root == nil || d.root.Kind != yaml.MappingNode {
		return nil
	}
	var out []reference
	for _, p := range pairs(d.root) {
		key, _ := scalarText(p.key)
		field := ""
		for _, f := range []string{"resources", "bases", "components", "generators", "transformers", "validators"} {
			if strings.EqualFold(key, f) {
				field = f
			}
		}
		list := resolve(p.value)
		if field == "" || list.Kind != yaml.SequenceNode {
			continue
		}
		for _, n := range list.Content {
			text, ok := scalarText(n)
			if !ok || text == "" || strings.Contains(text, "\n") { // a generator may be written inline, as YAML in a string
				continue
			}
			r := Reference{Field: field, Line: n.Line, Path: text, Remote: IsRemote(text)}
			if r.Remote {
				r.Ref = refOf(text)
			}
			out = append(out, reference{r, n})
		}
	}
	return out
}

var (
	remoteScheme = regexp.MustCompile(`(?i)^(?:git::)?(?:ssh|https?|file|git|s3|oci)://`)
	remoteUser   = regexp.MustCompile(`^(?i:git::)?[A-Za-z][A-Za-z0-9-]*@[^/]+[:/].`)
	remoteGithub = regexp.MustCompile(`(?i)^(?:git::|gh:|github\.com[/:])`)
)

// IsRemote reports whether kustomize takes a resource for a remote one: a URL, an scp-like git address, or a path on github.com.
// It first looks for a local file or directory of that name, which only a caller with the tree can do.
func IsRemote(resource string) bool {
	return remoteScheme.MatchString(resource) || remoteUser.MatchString(resource) || remoteGithub.MatchString(resource)
}

// refOf is the branch, tag or commit in a remote resource's query, as kustomize reads it.
func refOf(resource string) string {
	_, query, _ := strings.Cut(resource, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	if ref := values.Get("ref"); ref != "" {
		return ref
	}
	return values.Get("version")
}

// refParameter finds ref= and version= in a query, each with its value.
var refParameter = regexp.MustCompile(`[?&](?:ref|version)=([^&#\s]*)`)

// urlSafe are tags that mean themselves in a query.
var urlSafe = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// moveRefs plans to turn the refs of remote resources that equal the old tag into the new tag.
func (p *plan) moveRefs(owner int, oldTag, newTag, under string) error {
	if oldTag == "" || newTag == "" || oldTag == newTag {
		return nil
	}
	if !urlSafe.MatchString(newTag) {
		return &ChangeError{p.changes[owner].Name, fmt.Sprintf("the tag %q cannot be a ref", newTag)}
	}
	for _, r := range p.references() {
		if !r.Remote || r.Ref != oldTag || !strings.HasPrefix(r.Path, under) {
			continue
		}
		moved, changed := replaceRef(r.Path, oldTag, newTag)
		if !changed {
			continue // the ref is written with escapes: it is another text that only means the same
		}
		if earlier, planned := p.scalars[r.node]; planned {
			if earlier != moved {
				return p.refuseLine(r.Line, "two changes want this ref to move, to different tags", "limit each to the resources that are its own")
			}
			continue
		}
		place, err := p.scalar(r.node, "this resource")
		if err != nil {
			return err
		}
		text := string(p.src[place.from:place.to])
		written, changed := replaceRef(text, oldTag, newTag)
		if !changed {
			return p.refuse(place.start, "the ref of this resource is written with escapes", "write the resource without escapes")
		}
		p.scalars[r.node] = moved
		p.changes[owner].Fields = append(p.changes[owner].Fields, FieldChange{"ref", r.Path, moved})
		p.replace(owner, place.from, place.to, written)
	}
	return nil
}

// replaceRef changes each ref or version parameter that equals oldTag.
func replaceRef(resource, oldTag, newTag string) (string, bool) {
	changed := false
	out := refParameter.ReplaceAllStringFunc(resource, func(parameter string) string {
		name, value, _ := strings.Cut(parameter, "=")
		if value != oldTag {
			return parameter
		}
		changed = true
		return name + "=" + newTag
	})
	return out, changed
}
