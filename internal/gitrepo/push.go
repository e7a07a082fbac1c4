package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

const opPush = "push"

// BranchUpdate is one new commit on one branch, or the end of a branch.
type BranchUpdate struct {
	Branch string // short name: "main"
	// Old is the lease: where the branch is now. "" means that it must not exist.
	Old Hash
	// Parent is the new commit's parent, and what Files are changes of. When it is not Old, the branch is moved, not continued: the
	// server allows that to whoever holds the lease, unless it is set up to deny it. "" continues the update of the same branch that
	// stands before this one in the push: then its commit is the parent, and Old must be the same.
	Parent Hash
	// Files are the whole new contents by path. Directories are made as needed; existing files keep their mode, new ones are plain.
	Files     map[string][]byte
	Message   string
	Author    Identity
	Committer Identity // the author when zero
	When      time.Time
	// Signer signs the commit; nil leaves it unsigned.
	Signer *Signer
	// Delete removes the branch. Only Branch and Old are used then.
	Delete bool
	// To moves the branch to a commit that the server has, and makes none. Only Branch and Old are used besides.
	To Hash
}

// Result is what became of one update.
type Result struct {
	Branch string
	New    Hash  // the branch's commit after the push, also where it was there already; "" after a delete or an error
	Err    error // ErrStale, ErrNothingToCommit, ErrRejected, ErrUnsupported, ErrNoSuchObject, or *UpdateError
}

// Push makes the commits and moves all branches in one request. Each branch stands for itself: the results are in the order of the
// updates, and one refusal does not spoil the others. If a branch is refused, one more request looks where it is: at the new commit
// (an earlier push got through) is a success, away from Old is ErrStale, at Old is ErrRejected.
//
// The error is about the push as a whole, such as a time-out: some branches may have moved, or none. Pushing the same updates again
// is then right; results with an Err of their own are valid all the same.
func (r *Remote) Push(ctx context.Context, updates []BranchUpdate) ([]Result, error) {
	results := make([]Result, len(updates))
	for i, u := range updates {
		results[i].Branch = u.Branch
	}
	if r.err != nil {
		return failRest(results, nil, r.err)
	}
	w := r.newWalk()
	if err := w.ensure(ctx, pushTargets(updates, results)); err != nil {
		return failRest(results, nil, fmt.Errorf("prepare push: %w", err))
	}
	b := &builder{walk: w, have: make(map[oid]bool)}
	cmds := b.commands(updates, results)
	if len(cmds) == 0 {
		return results, nil
	}
	if err := r.send(ctx, cmds, b.objects); err != nil {
		return failRest(results, cmds, err)
	}
	made := make(map[oid]object, len(b.objects))
	for _, o := range b.objects {
		made[o.id] = o.obj
	}
	w.keep(made)
	return results, nil
}

// commands makes the commits, and one command per branch. Of commits that follow each other on one branch, the first that cannot be
// made is where the branch ends: the server must not be given some of what was meant to go together in an order nobody asked for.
func (b *builder) commands(updates []BranchUpdate, results []Result) []*command {
	var cmds []*command
	byBranch, tips := make(map[string]*command), make(map[string]Hash)
	for i, u := range updates {
		before := byBranch[u.Branch]
		switch {
		case results[i].Err != nil:
			continue
		case u.Delete, u.To != "":
			c := &command{results: []*Result{&results[i]}, made: make([]oid, 1)}
			c.old, _ = parseOID(string(u.Old))
			c.made[0], _ = parseOID(string(u.To))
			cmds = append(cmds, c)
			continue
		case u.Parent == "":
			u.Parent = tips[u.Branch]
		}
		tips[u.Branch] = u.Parent
		id, err := b.commit(u)
		if err != nil {
			results[i].Err = err
			if !errors.Is(err, ErrNothingToCommit) {
				continued(updates[i+1:], results[i+1:], u.Branch)
			}
			continue
		}
		if before == nil {
			before = &command{}
			before.old, _ = parseOID(string(u.Old))
			byBranch[u.Branch] = before
			cmds = append(cmds, before)
		}
		before.results, before.made = append(before.results, &results[i]), append(before.made, id)
		tips[u.Branch] = id.hash()
	}
	return cmds
}

// continued refuses the updates that would continue one which cannot be made.
func continued(updates []BranchUpdate, results []Result, branch string) {
	for i, u := range updates {
		if u.Branch == branch && u.Parent == "" && !u.Delete && u.To == "" && results[i].Err == nil {
			results[i].Err = &UpdateError{branch, "the update that it continues was not made"}
		}
	}
}

// failRest gives the error of the whole push to every result that has none, unless it is known to be done.
func failRest(results []Result, cmds []*command, err error) ([]Result, error) {
	done := make(map[*Result]bool)
	for _, c := range cmds {
		for _, r := range c.results {
			done[r] = c.settled
		}
	}
	for i := range results {
		if results[i].Err == nil && !done[&results[i]] {
			results[i].New, results[i].Err = "", err
		}
	}
	return results, err
}

// pushTargets checks the updates and says what has to be known for them.
func pushTargets(updates []BranchUpdate, results []Result) []target {
	first := make(map[string]BranchUpdate)
	var targets []target
	for i, u := range updates {
		before, seen := first[u.Branch]
		why := checkUpdate(u)
		if why == "" {
			why = checkNext(u, before, seen)
		}
		if why != "" {
			results[i].Err = &UpdateError{u.Branch, why}
			continue
		}
		if !seen {
			first[u.Branch], before = u, u
		}
		if u.Delete || u.To != "" {
			continue
		}
		t := target{blobs: true, paths: []string{""}}
		t.commit, _ = parseOID(string(before.Parent))
		for path := range u.Files {
			if why := checkPath(path); why != "" {
				results[i].Err = refusePath(path, why)
			}
			t.paths = append(t.paths, path)
		}
		if results[i].Err == nil {
			targets = append(targets, t)
		}
	}
	return targets
}

// checkNext checks an update beside the first one of the same branch.
func checkNext(u, first BranchUpdate, seen bool) string {
	continues := u.Parent == "" && !u.Delete && u.To == ""
	switch {
	case !seen && continues:
		return "it has no parent, and there is no update before it that it could continue"
	case seen && (!continues || first.Delete || first.To != ""):
		return "the branch is in this push already"
	case seen && u.Old != first.Old:
		return "its old value is not that of the update which it continues"
	}
	return ""
}

func checkUpdate(u BranchUpdate) string {
	if why := checkBranch(u.Branch); why != "" {
		return why
	}
	switch {
	case u.Old != "" && !u.Old.Valid():
		return "its old value is not an object name"
	case u.Delete && u.Old == "":
		return "a branch is deleted only at a known commit"
	case u.To != "" && (u.Delete || !u.To.Valid()):
		return "the commit that it should be moved to is not an object name"
	case u.Delete, u.To != "":
		return ""
	case u.Parent != "" && !u.Parent.Valid():
		return "its parent is not an object name"
	case u.When.Unix() <= 0:
		return "it has no time, or one that git cannot write"
	case cleanIdentity(u.Author.Name) == "" || cleanIdentity(u.Author.Email) == "":
		return "it has no author"
	case u.Committer != Identity{} && (cleanIdentity(u.Committer.Name) == "" || cleanIdentity(u.Committer.Email) == ""):
		return "its committer lacks a name or an address"
	case strings.TrimSpace(u.Message) == "":
		return "it has no message"
	}
	return ""
}

// command is one line of a push.
type command struct {
	old     oid       // zero: absent
	made    []oid     // the commits, one upon the other, of the results; one zero: a delete
	results []*Result // at least one
	reason  string    // the server's, when it refused
	unclear bool      // the server did not say what it did
	settled bool
}

func (c *command) branch() string { return c.results[0].Branch }

func (c *command) name() string { return branchPrefix + c.branch() }

// new is where the branch goes.
func (c *command) new() oid { return c.made[len(c.made)-1] }

func (c *command) done() {
	c.settled = true
	for i, id := range c.made {
		if id != (oid{}) {
			c.results[i].New = id.hash()
		}
	}
}

func (c *command) fail(err error) {
	c.settled = true
	for _, r := range c.results {
		r.Err = err
	}
}

// send pushes, with a thin pack first, and settles what became of each command.
func (r *Remote) send(ctx context.Context, cmds []*command, objects []newObject) error {
	r.host.mu.Lock()
	thin := !r.host.noThin
	r.host.mu.Unlock()
	refused, err := r.sendPack(ctx, cmds, objects, thin)
	if err == nil && refused != "" && thin {
		// Nothing has been changed. Perhaps the server cannot complete a thin pack; it can say so only in an advertisement that
		// was not asked for.
		if refused, err = r.sendPack(ctx, cmds, objects, false); err == nil && refused == "" {
			r.host.mu.Lock()
			r.host.noThin = true
			r.host.mu.Unlock()
		}
	}
	if err != nil {
		return err
	}
	return r.settle(ctx, cmds)
}

// sendPack does the one request. refused is why the server could not read the pack; the commands hold their own statuses.
func (r *Remote) sendPack(ctx context.Context, cmds []*command, objects []newObject, thin bool) (refused string, err error) {
	body, err := r.encodePush(cmds, objects, thin)
	if err != nil {
		return "", err
	}
	a, err := r.post(ctx, opPush, receivePack, 0, body)
	if err != nil {
		return "", err
	}
	defer a.Close()
	band := &bandReader{pkts: newPktReader(a)}
	report := packp.NewReportStatus()
	err = report.Decode(band)
	if err == nil {
		_, err = io.Copy(io.Discard, band) // hooks may still be talking
	}
	messages := a.clean(band.messages())
	if err != nil {
		// The server has taken the push and not said what it did: look.
		err = a.explain(err)
		var own interface{ Permanent() bool }
		if !errors.As(err, &own) {
			err = a.broken("status report: %s", a.clean(err.Error()))
		}
		for _, c := range cmds {
			c.reason, c.unclear = joinText(err.Error(), messages), true
		}
		return "", nil
	}
	a.complete = true
	statuses := make(map[string]string, len(report.CommandStatuses))
	for _, s := range report.CommandStatuses {
		statuses[s.ReferenceName.String()] = s.Status
	}
	const fine = "ok"
	for _, c := range cmds {
		switch status, known := statuses[c.name()]; {
		case known && status == fine && report.UnpackStatus == fine:
			c.done()
		case known:
			c.reason, c.unclear = joinText(a.clean(status), messages), looksLocked(status)
		default:
			c.reason, c.unclear = joinText("it was not reported on", messages), true
		}
	}
	if report.UnpackStatus != fine && len(objects) > 0 { // else nothing was sent that could be read otherwise
		return a.clean(report.UnpackStatus), nil
	}
	return "", nil
}

func joinText(a, b string) string {
	if b == "" {
		return a
	}
	return a + " (" + b + ")"
}

func (r *Remote) encodePush(cmds []*command, objects []newObject, thin bool) ([]byte, error) {
	req := packp.NewReferenceUpdateRequest()
	for _, c := range []capability.Capability{capability.ReportStatus, capability.Sideband64k} {
		if err := req.Capabilities.Set(c); err != nil {
			return nil, fmt.Errorf("%s: capability %s: %w", opPush, c, err)
		}
	}
	if err := req.Capabilities.Set(capability.Agent, r.agent()); err != nil {
		return nil, fmt.Errorf("%s: agent: %w", opPush, err)
	}
	var b bytes.Buffer
	for _, c := range cmds {
		req.Commands = append(req.Commands, &packp.Command{
			Name: plumbing.ReferenceName(c.name()), Old: c.old.plumbing(), New: c.new().plumbing(),
		})
	}
	if err := req.Encode(&b); err != nil {
		return nil, fmt.Errorf("%s: %w", opPush, err)
	}
	if !slices.ContainsFunc(cmds, func(c *command) bool { return c.new() != oid{} }) {
		return b.Bytes(), nil // only deletes: no pack may follow
	}
	pack, err := r.client.writePack(objects, thin)
	if err != nil {
		return nil, err
	}
	return append(b.Bytes(), pack...), nil
}

// settle looks where the refused branches are: git's refusal is the same text for a moved branch and for a locked one.
func (r *Remote) settle(ctx context.Context, cmds []*command) error {
	var open []*command
	var names []string
	for _, c := range cmds {
		if !c.settled {
			open = append(open, c)
			names = append(names, c.name())
		}
	}
	if len(open) == 0 {
		return nil
	}
	refs, err := r.Refs(ctx, names...)
	if err != nil && !errors.Is(err, ErrEmptyRepository) {
		return fmt.Errorf("push was refused (%s), and the branches could not be read again: %w", open[0].reason, err)
	}
	host := r.repo.address().Host
	for _, c := range open {
		var old, want Hash
		if c.old != (oid{}) {
			old = c.old.hash()
		}
		if id := c.new(); id != (oid{}) {
			want = id.hash()
		}
		switch now := refs.Branch(c.branch()); now {
		case want:
			c.done()
		case old:
			c.fail(&RejectedError{Host: host, Branch: c.branch(), Reason: c.reason, passing: c.unclear})
		default:
			c.fail(&StaleError{c.branch(), old, now})
		}
	}
	return nil
}

// looksLocked recognises a refusal that passes: another writer held the reference. There is only text.
func looksLocked(status string) bool {
	return strings.Contains(status, "failed to update ref") || strings.Contains(status, "lock")
}
