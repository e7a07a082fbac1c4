package render

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

//lint:file-ignore SA1019 repositories still use the deprecated fields, so they are checked as well

// isKustomization knows the three names that kustomize looks for.
func isKustomization(rel string) bool {
	switch path.Base(rel) {
	case "kustomization.yaml", "kustomization.yml", "Kustomization":
		return true
	}
	return false
}

var (
	lfsPointer = []byte("version https://git-lfs.github.com/spec/")

	// scheme://, git::, user@host: and user@host/, and the hosts that kustomize takes for git without a scheme.
	remoteScheme = regexp.MustCompile(`(?i)^(git::|[a-z][a-z0-9+.-]*://|[a-z][a-z0-9-]*@[^/]+[:/]|github\.com[/:])`)
	// What kustomize's file loader takes for a URL, slashes or not.
	remoteFile = regexp.MustCompile(`(?i)^https?:`)
)

// isRemote reports whether kustomize would leave the repository for an entry. It errs on the side of true: a file of that
// name can be renamed.
func isRemote(entry string) bool {
	return remoteScheme.MatchString(entry) || remoteFile.MatchString(entry) || strings.Contains(entry, "?ref=")
}

// check looks at a file before kustomize sees it, for the sake of a good reason; what it misses, the confinement stops.
func (f *treeFS) check(rel string, body []byte) error {
	if int64(len(body)) > f.limits.FileSize {
		return f.refuse("%s: %d bytes, at most %d are read", rel, len(body), f.limits.FileSize)
	}
	if bytes.HasPrefix(body, lfsPointer) {
		return f.refuse("%s: kept in git LFS, its content is not in the repository", rel)
	}
	if n, bomb := aliasBomb(body); bomb {
		return f.refuse("%s: its aliases unfold to %s values", rel, n)
	}
	if bytes.Contains(body, []byte("ReplacementTransformer")) {
		f.flows = true
	}
	f.secrets.learn(body)
	if isKustomization(rel) {
		return f.checkKustomization(rel, body)
	}
	return nil
}

func (f *treeFS) checkKustomization(rel string, body []byte) error {
	var k types.Kustomization
	if k.Unmarshal(body) != nil {
		return nil // kustomize says better what is wrong with it
	}
	k.FixKustomization()
	if len(k.HelmCharts) > 0 || len(k.HelmChartInflationGenerator) > 0 {
		return f.refuse("%s: helmCharts need helm and the network, neither is offered here", rel)
	}
	f.schema = f.schema || len(k.OpenAPI) > 0
	f.flows = f.flows || copiesSecrets(&k)
	f.learnGenerators(rel, k.SecretGenerator)
	for _, e := range entriesOf(&k) {
		if err := f.checkEntry(rel, e); err != nil {
			return err
		}
	}
	return nil
}

// copiesSecrets reports whether a kustomization may copy a value out of a Secret into another resource.
func copiesSecrets(k *types.Kustomization) bool {
	for _, r := range k.Replacements {
		if r.Path != "" || r.Source != nil && (r.Source.Kind == "" || strings.EqualFold(r.Source.Kind, secretKind)) {
			return true
		}
	}
	for _, v := range k.Vars {
		if v.ObjRef.Kind == "" || strings.EqualFold(v.ObjRef.Kind, secretKind) {
			return true
		}
	}
	return false
}

// learnGenerators takes note of what becomes a Secret, so that no error text shows it.
func (f *treeFS) learnGenerators(rel string, generators []types.SecretArgs) {
	at := func(file string) []byte {
		if isRemote(file) || path.IsAbs(file) {
			return nil
		}
		p := path.Join(path.Dir(rel), file)
		if p == ".." || strings.HasPrefix(p, "../") {
			return nil
		}
		n, err := f.look(p)
		if err != nil || n.kind != answerFile {
			return nil
		}
		return n.body
	}
	for _, g := range generators {
		for _, l := range g.LiteralSources {
			f.secrets.addPair(l)
		}
		for _, file := range g.FileSources {
			f.secrets.addText(string(at(fileOfSource(file))))
		}
		for _, file := range g.EnvSources {
			for line := range strings.Lines(string(at(file))) {
				f.secrets.addPair(line)
			}
		}
	}
}

// entry is a path that a kustomization names.
type entry struct {
	field, path string
	inlineOK    bool // the field may hold YAML itself
}

func entriesOf(k *types.Kustomization) []entry {
	var all []entry
	add := func(field string, inlineOK bool, paths ...string) {
		for _, p := range paths {
			if p != "" {
				all = append(all, entry{field: field, path: p, inlineOK: inlineOK})
			}
		}
	}
	add("resources", false, k.Resources...)
	add("components", false, k.Components...)
	add("crds", false, k.Crds...)
	add("configurations", false, k.Configurations...)
	add("generators", true, k.Generators...)
	add("transformers", true, k.Transformers...)
	add("validators", true, k.Validators...)
	add("openapi.path", false, k.OpenAPI["path"])
	for _, p := range k.Patches {
		add("patches.path", false, p.Path)
	}
	for _, p := range k.PatchesJson6902 {
		add("patchesJson6902.path", false, p.Path)
	}
	for _, p := range k.PatchesStrategicMerge {
		add("patchesStrategicMerge", true, string(p))
	}
	for _, r := range k.Replacements {
		add("replacements.path", false, r.Path)
	}
	generator := func(field string, s types.KvPairSources) {
		for _, file := range s.FileSources {
			add(field+".files", false, fileOfSource(file))
		}
		add(field+".envs", false, s.EnvSources...)
	}
	for _, g := range k.ConfigMapGenerator {
		generator("configMapGenerator", g.KvPairSources)
	}
	for _, g := range k.SecretGenerator {
		generator("secretGenerator", g.KvPairSources)
	}
	return all
}

// fileOfSource takes the path from key=path.
func fileOfSource(s string) string {
	if _, file, keyed := strings.Cut(s, "="); keyed && !remoteFile.MatchString(s) {
		return file
	}
	return s
}

func (f *treeFS) checkEntry(rel string, e entry) error {
	if e.inlineOK && strings.ContainsAny(e.path, "\n{") {
		return nil
	}
	shown := cutString(e.path, 200)
	at := path.Join(path.Dir(rel), e.path)
	outside := at == ".." || strings.HasPrefix(at, "../")
	switch {
	case isRemote(e.path) && !f.isLocalFile(at, e.path, outside):
		return f.refuse("%s: %s: %s is remote; only files of this repository are read", rel, e.field, shown)
	case path.IsAbs(e.path):
		return f.refuse("%s: %s: %s is an absolute path; only files of this repository are read", rel, e.field, shown)
	}
	if outside {
		return f.refuse("%s: %s: %s leads out of the repository", rel, e.field, shown)
	}
	n, err := f.look(at)
	if err != nil {
		return err
	}
	if n.kind == answerNone {
		return f.refuse("%s: %s: %s does not exist in this repository", rel, e.field, shown)
	}
	return nil
}

// isLocalFile reports whether an entry that looks remote is a file all the same: kustomize prefers the file, unless the entry
// is a URL.
func (f *treeFS) isLocalFile(at, entry string, outside bool) bool {
	if outside || strings.Contains(entry, "://") || remoteFile.MatchString(entry) {
		return false
	}
	n, err := f.look(at)
	return err == nil && n.kind == answerFile
}

// maxUnfolded is how many values the aliases of one file may stand for. Real files with anchors stay below a thousand.
const maxUnfolded = 200_000

// aliasBomb counts what a file's aliases unfold to, without unfolding them.
func aliasBomb(body []byte) (string, bool) {
	if !bytes.ContainsRune(body, '&') || !bytes.ContainsRune(body, '*') {
		return "", false
	}
	d := yaml.NewDecoder(bytes.NewReader(body))
	c := unfolding{done: map[*yaml.Node]int{}, open: map[*yaml.Node]bool{}}
	total := 0
	for {
		var doc yaml.Node
		if err := d.Decode(&doc); err != nil {
			break // the end, or what kustomize will complain about itself
		}
		total = min(total+c.count(&doc), maxUnfolded+1)
	}
	if total > maxUnfolded {
		return fmt.Sprintf("more than %d", maxUnfolded), true
	}
	return "", false
}

type unfolding struct {
	done map[*yaml.Node]int
	open map[*yaml.Node]bool
}

// count saturates just above maxUnfolded; a node that contains itself counts as that.
func (c unfolding) count(n *yaml.Node) int {
	if n == nil {
		return 0
	}
	if size, ok := c.done[n]; ok {
		return size
	}
	if c.open[n] {
		return maxUnfolded + 1
	}
	c.open[n] = true
	size := 1
	if n.Kind == yaml.AliasNode {
		size = min(size+c.count(n.Alias), maxUnfolded+1)
	}
	for _, child := range n.Content {
		size = min(size+c.count(child), maxUnfolded+1)
	}
	delete(c.open, n)
	c.done[n] = size
	return size
}
