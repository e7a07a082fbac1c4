package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// Refs are references of a repository.
type Refs struct {
	// Head is the default branch, such as "main"; empty when HEAD names a commit instead of a branch.
	Head string
	// ByName holds the references under the prefixes that were asked for, by full name ("refs/heads/main"), and, when it exists,
	// the default branch. Tags are not peeled.
	ByName map[string]Hash
}

// Branch is where a branch is, "" when it is not among the references.
func (r Refs) Branch(name string) Hash { return r.ByName[branchPrefix+name] }

const branchPrefix = "refs/heads/"

const opRefs = "list references"

// maxRefLine bounds a reference's name; git's own limit is the packet.
const maxRefLine = 4096

// Refs lists the references whose full names begin with one of the prefixes ("refs/heads/boatlift/"); none means all branches.
// It is one request, and a second one at the first contact with a host that does not speak version 2. A repository without any
// commit gives ErrEmptyRepository.
func (r *Remote) Refs(ctx context.Context, prefixes ...string) (Refs, error) {
	if r.err != nil {
		return Refs{}, r.err
	}
	if len(prefixes) == 0 {
		prefixes = []string{branchPrefix}
	}
	if r.host.protocol() == 0 {
		_, refs, err := r.advertisement(ctx, prefixes)
		return refs, err
	}
	refs, err := r.refsV2(ctx, prefixes)
	nothing := err == nil && len(refs.ByName) == 0 && coversBranches(prefixes)
	if !nothing && (err == nil || !notV2(err)) {
		return refs, err
	}
	// Either the server does not know version 2, or the repository is in another object format, or it is empty, or something broke.
	version, refsV0, adErr := r.advertisement(ctx, prefixes)
	switch {
	case adErr != nil:
		return Refs{}, adErr
	case version == 0:
		return refsV0, nil
	case nothing:
		return Refs{}, r.empty()
	}
	if refs, err = r.refsV2(ctx, prefixes); err == nil && len(refs.ByName) == 0 && coversBranches(prefixes) {
		err = r.empty()
	}
	return refs, err
}

// notV2 reports whether an answer may come from a server that does not know version 2 (or this form of it), rather than from one
// that refuses these credentials or is out of order.
func notV2(err error) bool {
	var status *HTTPError
	if errors.As(err, &status) {
		switch status.Status {
		case http.StatusNotFound: // some hosts redirect only the GET of an old or unfinished address
			return true
		case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity,
			http.StatusNotImplemented:
			return true
		}
		return false
	}
	var protocol *ProtocolError
	return errors.As(err, &protocol)
}

// refsV2 asks for the references with ls-refs, without a request for the capabilities first.
func (r *Remote) refsV2(ctx context.Context, prefixes []string) (Refs, error) {
	req := appendPkt(nil, "command=ls-refs\n")
	req = r.appendCapsV2(req)
	req = appendDelim(req)
	req = appendPkt(req, "symrefs\n")
	req = appendPkt(req, "ref-prefix HEAD\n")
	for _, p := range prefixes {
		req = appendPkt(req, "ref-prefix "+p+"\n")
	}
	req = appendFlush(req)
	a, err := r.post(ctx, opRefs, uploadPack, 2, req)
	if err != nil {
		return Refs{}, err
	}
	defer a.Close()

	refs := Refs{ByName: make(map[string]Hash)}
	pkts := newPktReader(a)
	var head oid
	for {
		mark, line, err := pkts.line()
		switch {
		case errors.Is(err, io.EOF):
			return Refs{}, a.broken("the answer ends without a flush")
		case err != nil:
			return Refs{}, a.explain(err)
		case mark == pktFlush:
			r.host.setProtocol(2)
			a.complete = true
			if _, known := refs.ByName[branchPrefix+refs.Head]; !known && refs.Head != "" && (head != oid{}) {
				refs.ByName[branchPrefix+refs.Head] = head.hash()
			}
			return refs, nil
		case mark != pktData:
			return Refs{}, a.broken("unexpected mark among the references")
		}
		id, name, attrs, ok := parseRefLine(line)
		if !ok {
			return Refs{}, a.broken("not a reference: %q", a.clean(line))
		}
		if name != "HEAD" {
			refs.ByName[name] = id.hash()
			continue
		}
		head = id
		for _, attr := range strings.Fields(attrs) {
			if target, ok := strings.CutPrefix(attr, "symref-target:"); ok {
				refs.Head = headBranch(target)
			}
		}
	}
}

// parseRefLine reads "<hash> <name>[ <attributes>]".
func parseRefLine(line string) (id oid, name, attrs string, ok bool) {
	hash, rest, found := strings.Cut(line, " ")
	id, err := parseOID(hash)
	if !found || err != nil || len(rest) > maxRefLine {
		return oid{}, "", "", false
	}
	name, attrs, _ = strings.Cut(rest, " ")
	return id, name, attrs, name != ""
}

// headBranch is the branch that HEAD names, "" when it names something else or something that git would not allow.
func headBranch(target string) string {
	name, ok := strings.CutPrefix(target, branchPrefix)
	if !ok || checkBranch(name) != "" {
		return ""
	}
	return name
}

func coversBranches(prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(branchPrefix, p) {
			return true
		}
	}
	return false
}

func (r *Remote) empty() error {
	return &emptyRepositoryError{r.repo.address().Host}
}

type emptyRepositoryError struct{ host string }

func (e *emptyRepositoryError) Error() string        { return e.host + ": the repository has no commits yet" }
func (e *emptyRepositoryError) Is(target error) bool { return target == ErrEmptyRepository }

// Permanent is true until somebody pushes a first commit.
func (e *emptyRepositoryError) Permanent() bool { return true }

// appendCapsV2 says who we are and which hashes we use.
func (r *Remote) appendCapsV2(b []byte) []byte {
	b = appendPkt(b, "agent="+r.agent()+"\n")
	return appendPkt(b, "object-format=sha1\n")
}

func (r *Remote) agent() string { return "git/" + r.client.opts.UserAgent }

// advertisement asks what the server can do. Version 0 lists every reference as well; version 2 lists none.
func (r *Remote) advertisement(ctx context.Context, prefixes []string) (int, Refs, error) {
	version := 2
	if r.client.opts.DisableV2 || r.host.protocol() == 0 {
		version = 0
	}
	a, err := r.get(ctx, opRefs, uploadPack, version)
	if err != nil {
		return 0, Refs{}, err
	}
	defer a.Close()
	body, err := io.ReadAll(a)
	if err != nil {
		return 0, Refs{}, a.explain(err)
	}

	pkts := newPktReader(bytes.NewReader(body))
	var first string
	for skipped := 0; first == ""; skipped++ {
		mark, line, err := pkts.line()
		if err == io.EOF && skipped > 0 {
			return 0, Refs{}, r.empty()
		}
		if err != nil {
			return 0, Refs{}, a.explain(err)
		}
		if mark == pktData && !strings.HasPrefix(line, "# service=") {
			first = line
		}
	}
	if first == "version 2" {
		return 2, Refs{}, r.capabilitiesV2(a, pkts)
	}
	if strings.Contains(first, "object-format=sha256") {
		return 0, Refs{}, r.sha256()
	}
	refs, err := r.refsV0(a, body, prefixes)
	return 0, refs, err
}

func (r *Remote) sha256() error {
	return &UnsupportedError{r.repo.address().Host, "the repository uses SHA-256 object names"}
}

// capabilitiesV2 looks for what makes a version 2 server unusable to us.
func (r *Remote) capabilitiesV2(a *answer, pkts *pktReader) error {
	for {
		mark, line, err := pkts.line()
		if err != nil {
			return a.explain(err)
		}
		if mark != pktData {
			return nil
		}
		if line == "object-format=sha256" {
			return r.sha256()
		}
	}
}

// refsV0 reads a version 0 advertisement.
func (r *Remote) refsV0(a *answer, body []byte, prefixes []string) (Refs, error) {
	adv := packp.NewAdvRefs()
	err := adv.Decode(bytes.NewReader(body))
	if errors.Is(err, packp.ErrEmptyAdvRefs) {
		return Refs{}, r.empty()
	}
	if err != nil {
		return Refs{}, a.broken("advertisement: %s", a.clean(err.Error()))
	}
	r.host.setProtocol(0)
	state := notOffered
	if adv.Capabilities.Supports(capability.Filter) {
		state = offered
	}
	r.repo.mu.Lock()
	r.repo.filter = state
	r.repo.mu.Unlock()

	refs := Refs{ByName: make(map[string]Hash)}
	for _, s := range adv.Capabilities.Get(capability.SymRef) {
		if target, ok := strings.CutPrefix(s, "HEAD:"); ok {
			refs.Head = headBranch(target)
		}
	}
	if len(adv.References) == 0 {
		return Refs{}, r.empty()
	}
	for name, id := range adv.References {
		if name == branchPrefix+refs.Head || hasAnyPrefix(name, prefixes) {
			refs.ByName[name] = Hash(id.String())
		}
	}
	return refs, nil
}

func hasAnyPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// explain turns errors from within an answer into errors that name the host, and keeps those that already do.
func (a *answer) explain(err error) error {
	var remote *remoteError
	var broken *TransportError
	switch {
	case errors.As(err, &broken):
		return broken
	case errors.As(err, &remote):
		text := a.clean(remote.text)
		if id, ok := missingIn(text); ok {
			return &MissingObjectError{a.host, id}
		}
		return &ProtocolError{a.host, a.op, "the server says: " + text}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return a.broken("the answer ends too early")
	case errors.Is(err, errPkt):
		return a.broken("%s", a.clean(err.Error()))
	case errors.As(err, new(*MalformedError)), errors.Is(err, ErrTooLarge):
		return fmt.Errorf("%s: %s: %w", a.op, a.host, err)
	}
	return err
}

// missingIn finds the object in git's "not our ref" and "no such" refusals; there is no code for them, only text.
func missingIn(text string) (Hash, bool) {
	if !strings.Contains(text, "not our ref") && !strings.Contains(text, "unable to find") && !strings.Contains(text, "is not valid") {
		return "", false
	}
	for _, f := range strings.Fields(text) {
		if h := Hash(strings.Trim(f, ".,:;'\"")); h.Valid() {
			return h, true
		}
	}
	return "", false
}
