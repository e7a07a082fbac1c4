package render

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/openapi"
)

// ChildCommand is the hidden subcommand under which the program runs ChildMain.
const ChildCommand = "render-child"

// Exit codes of the child that its parent understands.
const (
	exitDone     = 0
	exitProtocol = 70
	exitConfine  = 71
	exitMemory   = 72
)

// ChildMain is the child process: it confines itself, which cannot be undone, then builds what its parent asks for. The result
// is the exit code; where stdin ends during a build the process exits at once. It must be the only thing that its process does.
func ChildMain(stdin io.Reader, stdout io.Writer) int {
	os.Stdout = os.Stderr // stdout is the pipe's alone
	outside := leaveOutside()
	if err := writeFrame(stdout, frameHello, []byte(hello)); err != nil {
		return exitProtocol
	}
	kind, body, err := readFrame(stdin, only(frameLimits, maxHeader))
	var l limits
	if err != nil || kind != frameLimits || json.Unmarshal(body, &l) != nil {
		return exitProtocol
	}
	if err := confine(l); err != nil {
		fmt.Fprintf(os.Stderr, "fatal error: confine the render process: %v\n", err)
		return exitConfine
	}
	in := make(chan frame)
	go readFrames(bufio.NewReader(stdin), l, in)
	c := &child{limits: l, outside: outside, out: stdout, in: in}
	c.tree = &tree{ask: c.ask, known: map[string]node{}}
	for f := range in {
		var j job
		if f.kind != frameJob || json.Unmarshal(f.body, &j) != nil {
			return exitProtocol
		}
		if err := c.run(j); err != nil {
			fmt.Fprintf(os.Stderr, "fatal error: %v\n", err)
			return exitProtocol
		}
	}
	return exitDone
}

// leaveOutside takes from the process what kustomize would reach programs and servers with: the environment, PATH with it, and
// the HTTP transport.
func leaveOutside() *noNetwork {
	os.Clearenv()
	outside := &noNetwork{}
	http.DefaultTransport = outside
	http.DefaultClient = &http.Client{Transport: outside}
	return outside
}

type frame struct {
	kind byte
	body []byte
}

// readFrames hands on what the parent sends. The pipe's end ends the process, whatever it is at: nobody waits for the result.
func readFrames(r io.Reader, l limits, in chan<- frame) {
	for {
		kind, body, err := readFrame(r, func(kind byte) int64 {
			if kind == frameJob {
				return l.JobSize
			}
			return l.FileSize + maxReason
		})
		if err != nil {
			os.Exit(exitDone)
		}
		in <- frame{kind: kind, body: body}
	}
}

// noNetwork is the only transport that the child has.
type noNetwork struct{ tried string } // what was wanted first

func (n *noNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	if n.tried == "" {
		n.tried = r.URL.Redacted()
	}
	return nil, errors.New("remote content is not read here")
}

// child serves one parent.
type child struct {
	limits  limits
	outside *noNetwork
	out     io.Writer
	in      <-chan frame
	tree    *tree
	broken  error // the pipe's; nothing can be said after it
	stale   bool  // kustomize keeps the schema that a build brought; making a fresh one costs as much as a build
}

// ask is tree's question to the parent.
func (c *child) ask(p string) (byte, []byte, error) {
	if c.broken == nil {
		c.broken = writeFrame(c.out, frameAsk, []byte(p))
	}
	if c.broken != nil {
		return 0, nil, c.broken
	}
	f := <-c.in
	if f.kind != frameAnswer || len(f.body) == 0 {
		c.broken = errGarbage
		return 0, nil, errGarbage
	}
	return f.body[0], f.body[1:], nil
}

// build is how one side of a job went.
type build struct {
	side
	fs        *treeFS
	resources resmap.ResMap
	objects   []*object
}

func (c *child) run(j job) error {
	var before, after build
	var parts [3][]byte
	cut := false
	if j.Compare {
		before, after = c.build(j.Dir, nil), c.build(j.Dir, j.Overlay)
		var diff string
		diff, cut = c.compare(&before, &after)
		parts = [3][]byte{join(before.objects), join(after.objects), []byte(diff)}
	} else {
		before = c.build(j.Dir, j.Overlay)
		if before.resources != nil {
			text, err := before.resources.AsYaml()
			if err != nil {
				before.fail(errUnprintable)
			}
			parts[0] = text
		}
	}
	for i, s := range []*build{&before, &after} {
		if int64(len(parts[i])) > c.limits.Output {
			s.fail(fmt.Errorf("the build is %d bytes large, at most %d are taken", len(parts[i]), c.limits.Output))
			parts[i], parts[2] = nil, nil
		}
	}
	if c.broken != nil {
		return fmt.Errorf("talk to the parent: %w", c.broken)
	}
	if err := writeJSON(c.out, frameOutcome, outcome{Before: before.side, After: after.side, Cut: cut}); err != nil {
		return err
	}
	for _, p := range parts {
		if err := writeFrame(c.out, framePart, p); err != nil {
			return err
		}
	}
	return nil
}

// build runs kustomize once.
func (c *child) build(dir string, overlay map[string][]byte) (b build) {
	b.fs = newTreeFS(c.tree, overlay, c.limits)
	defer func() {
		if p := recover(); p != nil {
			b.resources = nil
			b.fail(fmt.Errorf("kustomize stopped: %v", p))
		}
	}()
	where, err := b.fs.look(dir)
	switch {
	case err != nil:
		b.fail(err)
		return b
	case where.kind == answerNone:
		b.Absent = true
		return b
	case where.kind != answerDir:
		b.fail(errors.New("not a directory"))
		return b
	}
	c.outside.tried = ""
	if c.stale {
		openapi.ResetOpenAPI()
	}
	c.stale = true // unless this build ends well
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionUnspecified // as kustomize build has it
	root := treeRoot
	if dir != "." {
		root += "/" + dir
	}
	built, err := krusty.MakeKustomizer(options).Run(b.fs, root)
	switch {
	case b.fs.refused != "":
		b.fail(errors.New(b.fs.refused))
	case c.outside.tried != "":
		b.fail(fmt.Errorf("%s is remote; only files of this repository are read", c.outside.tried))
	case types.IsErrOnlyBuiltinPluginsAllowed(err):
		b.fail(fmt.Errorf("plugins and functions are programs, none is run here: %w", err))
	case err != nil:
		b.fail(err)
	default:
		b.resources = built
		c.stale = b.fs.schema
	}
	return b
}

// address matches pointers that kustomize prints: they would make the reason another one each time.
var address = regexp.MustCompile(`\b0x[0-9a-f]{6,}\b`)

// fail fills the reason, without values of Secrets.
func (b *build) fail(err error) {
	if b.Reason != "" {
		return
	}
	text := strings.ReplaceAll(err.Error(), treeRoot+"/", "")
	text = address.ReplaceAllString(text, "0x…")
	b.Reason = reasonText(b.fs.secrets.scrubber()(text))
	if b.Reason == "" {
		b.Reason = "kustomize gave no reason"
	}
}

// compare takes both builds apart and finds what changed. Where either failed there is no diff, but both are masked.
func (c *child) compare(before, after *build) (string, bool) {
	for _, b := range []*build{before, after} {
		if b.resources == nil {
			continue
		}
		objects, err := objectsOf(b.resources)
		if err != nil {
			b.fail(err)
			continue
		}
		b.objects = objects
	}
	changes := pair(before.objects, after.objects)
	known := newSecretValues()
	known.include(before.fs.secrets)
	known.include(after.fs.secrets)
	if err := show(changes, before.objects, after.objects, known, before.fs.flows || after.fs.flows); err != nil {
		before.fail(err)
		after.fail(err)
		before.objects, after.objects = nil, nil
		return "", false
	}
	if before.Reason != "" || after.Reason != "" {
		return "", false
	}
	return diffOf(changes, c.limits.Diff, c.limits.Line)
}
