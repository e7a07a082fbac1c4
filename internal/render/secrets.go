package render

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

const (
	secretKind = "Secret"

	noteValue     = "[secret value]"
	noteChanged   = "[secret value, changed]"
	noteUnchanged = "[secret value, unchanged]"
	noteHash      = "[hash]"
	noteNewHash   = "[hash, changed]"

	lastApplied = "kubectl.kubernetes.io/last-applied-configuration"
)

// maskSecrets replaces the values of Secrets in a resource before and after, either of which may be nil, and reports whether
// there were any. What a Secret is known to hold besides its values is kept; all else, known or not, is a value.
func maskSecrets(before, after map[string]any) bool {
	if !isSecret(before) && !isSecret(after) {
		return maskNested(before, after)
	}
	for key := range keysOf(before, after) {
		switch key {
		case "apiVersion", "kind", "type", "immutable":
		case "metadata":
			b, a := asMap(before[key]), asMap(after[key])
			maskKey(asMap(b["annotations"]), asMap(a["annotations"]), lastApplied)
		default:
			maskKey(before, after, key)
		}
	}
	return true
}

// maskNested finds Secrets inside other resources, such as templates. There kind: Secret is often no more than a reference, so
// only the two fields that hold values are masked.
func maskNested(before, after any) bool {
	found := false
	if b, a := asMap(before), asMap(after); b != nil || a != nil {
		secret := isSecret(b) || isSecret(a)
		for key := range keysOf(b, a) {
			if secret && (key == "data" || key == "stringData") {
				maskKey(b, a, key)
				found = true
				continue
			}
			found = maskNested(b[key], a[key]) || found
		}
		return found
	}
	b, _ := before.([]any)
	a, _ := after.([]any)
	for i := range max(len(b), len(a)) {
		var x, y any
		if i < len(b) {
			x = b[i]
		}
		if i < len(a) {
			y = a[i]
		}
		found = maskNested(x, y) || found
	}
	return found
}

func maskKey(before, after map[string]any, key string) {
	b, inBefore := before[key]
	a, inAfter := after[key]
	if bm, am := asMap(b), asMap(a); bm != nil || am != nil {
		if (bm != nil || b == nil) && (am != nil || a == nil) {
			for k := range keysOf(bm, am) {
				maskKey(bm, am, k)
			}
			return
		}
	}
	switch {
	case inBefore && inAfter && reflect.DeepEqual(b, a):
		before[key], after[key] = noteUnchanged, noteUnchanged
	case inBefore && inAfter:
		before[key], after[key] = noteValue, noteChanged
	case inBefore:
		before[key] = noteValue
	case inAfter:
		after[key] = noteValue
	}
}

func isSecret(m map[string]any) bool {
	kind, _ := m["kind"].(string)
	return isSecretKind(kind)
}

// isSecretKind knows lists too: all of their items is masked, as a value.
func isSecretKind(kind string) bool {
	return strings.EqualFold(kind, secretKind) || strings.EqualFold(kind, secretKind+"List")
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func keysOf(maps ...map[string]any) map[string]bool {
	keys := map[string]bool{}
	for _, m := range maps {
		for k := range m {
			keys[k] = true
		}
	}
	return keys
}

// generatedName matches a name that ends in kustomize's content hash: ten hexadecimal digits in its own alphabet.
var generatedName = regexp.MustCompile(`^(.+)-([bcdfghkmt2456789]{10})$`)

// hashMasks lists the replacements that hide the content hashes in the names of generated Secrets, wherever those are used.
func hashMasks(before, after []*object) (b, a *strings.Replacer) {
	names := func(objects []*object) map[string]string {
		found := map[string]string{}
		for _, o := range objects {
			if m := generatedName.FindStringSubmatch(o.name); m != nil && strings.EqualFold(o.kind, secretKind) {
				found[o.name] = m[1]
			}
		}
		return found
	}
	nb, na := names(before), names(after)
	old := map[string]bool{} // bases of names before
	for _, base := range nb {
		old[base] = true
	}
	var pb, pa []string
	for _, name := range sortedKeys(nb) {
		pb = append(pb, name, nb[name]+"-"+noteHash)
	}
	for _, name := range sortedKeys(na) {
		note := noteHash
		if _, same := nb[name]; !same && old[na[name]] {
			note = noteNewHash
		}
		pa = append(pa, name, na[name]+"-"+note)
	}
	return strings.NewReplacer(pb...), strings.NewReplacer(pa...)
}

// sortedKeys puts longer names first, so that no name hides a longer one that it begins.
func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, longerFirst)
	return keys
}

func longerFirst(a, b string) int {
	if len(a) != len(b) {
		return len(b) - len(a)
	}
	return strings.Compare(a, b)
}

// maxSecretValues bounds what secretValues keeps. Above it scrub shows nothing at all.
const maxSecretValues = 20_000

// shortSecret is the length below which a value is only taken out of a text where it stands alone.
const shortSecret = 6

// secretValues are texts that must not be seen: values of Secrets in the forms that error texts and copies show them in.
type secretValues struct {
	values   map[string]bool
	overflow bool
}

func newSecretValues() *secretValues { return &secretValues{values: map[string]bool{}} }

func (s *secretValues) add(v string) {
	v = strings.TrimSpace(v)
	if v == "" || s.overflow || s.values[v] {
		return
	}
	if len(s.values) >= maxSecretValues {
		s.overflow = true
		return
	}
	s.values[v] = true
}

func (s *secretValues) include(other *secretValues) {
	s.overflow = s.overflow || other.overflow
	for v := range other.values {
		s.add(v)
	}
}

// addText adds a value: as it is, each of its lines, quoted, and encoded.
func (s *secretValues) addText(v string) {
	if v == "" {
		return
	}
	s.add(base64.StdEncoding.EncodeToString([]byte(v)))
	s.add(v)
	if !utf8.ValidString(v) {
		return
	}
	if q := strconv.Quote(v); len(q) != len(v)+2 {
		s.add(q[1 : len(q)-1])
	}
	if j, err := json.Marshal(v); err == nil && len(j) != len(v)+2 {
		s.add(string(j[1 : len(j)-1]))
	}
	if strings.Contains(v, "\n") {
		for line := range strings.Lines(v) {
			if line = strings.TrimSpace(line); len(line) >= shortSecret {
				s.add(line)
			}
		}
	}
}

// addEncoded adds a value of a Secret's data: as it is, and what it encodes.
func (s *secretValues) addEncoded(v string) {
	s.addText(v)
	compact := strings.Join(strings.Fields(v), "")
	if plain, err := base64.StdEncoding.DecodeString(compact); err == nil {
		s.addText(string(plain))
	}
}

// addPair adds key=value, or the whole where it is not of that form: then the text that complains about it shows it.
func (s *secretValues) addPair(pair string) {
	pair = strings.TrimSpace(pair)
	if pair == "" || strings.HasPrefix(pair, "#") {
		return
	}
	_, v, ok := strings.Cut(pair, "=")
	if !ok {
		s.addText(pair)
		return
	}
	s.addText(v)
	s.addText(strings.Trim(v, `"'`))
}

// learn adds what a file of the repository says about Secrets: manifests, patches of them, whole or inside other text.
func (s *secretValues) learn(body []byte) { s.learnText(body, 0) }

const (
	maxLearnDepth = 50 // of values in values
	maxLearnTexts = 5  // of texts in texts
)

func (s *secretValues) learnText(body []byte, within int) {
	if within > maxLearnTexts {
		return
	}
	if !bytes.Contains(body, []byte(secretKind)) && !bytes.Contains(body, []byte("/data")) && !bytes.Contains(body, []byte("/stringData")) {
		return
	}
	d := yaml.NewDecoder(bytes.NewReader(body))
	for {
		var doc yaml.Node
		err := d.Decode(&doc)
		if err == nil {
			s.learnNode(&doc, 0, within)
			continue
		}
		if !errors.Is(err, io.EOF) && bytes.Contains(body, []byte(secretKind)) {
			s.learnLines(string(body))
		}
		return
	}
}

// learnLines is for what does not parse: every value on a line counts.
func (s *secretValues) learnLines(text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(line), "-"))
		key, v, ok := strings.Cut(line, ":")
		switch {
		case !ok:
			s.addEncoded(line)
		case !slices.Contains([]string{"apiVersion", "kind", "name", "namespace", "type", "metadata", "data", "stringData"}, key):
			s.addEncoded(strings.Trim(strings.TrimSpace(v), `"'`))
		}
	}
}

func (s *secretValues) learnNode(n *yaml.Node, depth, within int) {
	if n == nil || depth > maxLearnDepth {
		return
	}
	if n.Kind == yaml.ScalarNode {
		if strings.Contains(n.Value, "\n") && len(n.Value) > len(secretKind) {
			s.learnText([]byte(n.Value), within+1)
		}
		return
	}
	if n.Kind != yaml.MappingNode {
		for _, c := range n.Content {
			s.learnNode(c, depth+1, within)
		}
		return
	}
	fields := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		fields[n.Content[i].Value] = n.Content[i+1]
	}
	if kind := fields["kind"]; kind != nil && isSecretKind(kind.Value) {
		s.learnScalars(fields["data"], depth)
		s.learnScalars(fields["stringData"], depth)
		s.learnScalars(fields["items"], depth)
	}
	if p := fields["path"]; p != nil && fields["op"] != nil &&
		(strings.HasPrefix(p.Value, "/data") || strings.HasPrefix(p.Value, "/stringData")) {
		s.learnScalars(fields["value"], depth)
	}
	for _, v := range fields {
		s.learnNode(v, depth+1, within)
	}
}

func (s *secretValues) learnScalars(n *yaml.Node, depth int) {
	switch {
	case n == nil || depth > maxLearnDepth:
	case n.Kind == yaml.ScalarNode:
		s.addEncoded(n.Value)
	case n.Kind == yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			s.learnScalars(n.Content[i], depth+1)
		}
	case n.Kind == yaml.AliasNode:
		s.learnScalars(n.Alias, depth+1)
	default:
		for _, c := range n.Content {
			s.learnScalars(c, depth+1)
		}
	}
}

// learnObject adds the values of a resource that was built.
func (s *secretValues) learnObject(m map[string]any) {
	if !isSecret(m) {
		return
	}
	for _, field := range []string{"data", "stringData"} {
		for _, v := range asMap(m[field]) {
			if text, ok := v.(string); ok {
				s.addEncoded(text)
			}
		}
	}
}

// scrubber replaces every value by a note. It is made once and used for many texts.
func (s *secretValues) scrubber() func(string) string {
	if s.overflow {
		return func(string) string { return "[not shown: it may hold values of Secrets]" }
	}
	values := make([]string, 0, len(s.values))
	for v := range s.values {
		values = append(values, v)
	}
	slices.SortFunc(values, longerFirst)
	return func(text string) string {
		for _, v := range values {
			if !strings.Contains(text, v) {
				continue
			}
			if len(v) >= shortSecret {
				text = strings.ReplaceAll(text, v, noteValue)
			} else {
				text = replaceAlone(text, v, noteValue)
			}
		}
		return text
	}
}

// replaceAlone replaces v where it is not part of a longer word.
func replaceAlone(text, v, note string) string {
	var b strings.Builder
	word := func(r rune, size int) bool {
		return size > 0 && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_')
	}
	for from := 0; ; {
		i := strings.Index(text[from:], v)
		if i < 0 {
			b.WriteString(text[from:])
			return b.String()
		}
		start, end := from+i, from+i+len(v)
		if word(utf8.DecodeLastRuneInString(text[:start])) || word(utf8.DecodeRuneInString(text[end:])) {
			b.WriteString(text[from:end])
		} else {
			b.WriteString(text[from:start])
			b.WriteString(note)
		}
		from = end
	}
}
