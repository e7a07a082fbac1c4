package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
	// server allows that to whoever holds the lease, unless it is set up to deny it.
	Parent Hash
	// Files are the whole new contents by path. Directories are made as needed; existing files keep their mode, new ones are plain.
	Files     map[string][]byte
	Message   string
	Author    Identity
	Committer Identity // the author when zero
	When      time.Time
	// Delete removes the branch. Only Branch and Old are used then.
	Delete bool
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
	var cmds []*command
	for i, u := range updates {
		if results[i].Err != nil {
			continue
		}
		c := &command{result: &results[i]}
		c.old, _ = parseOID(string(u.Old))
		if !u.Delete {
			id, err := b.commit(u)
			if err != nil {
				results[i].Err = err
				continue
			}
			c.new = id
		}
		cmds = append(cmds, c)
	}
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

// failRest gives the error of the whole push to every result that has none, unless it is known to be done.
func failRest(results []Result, cmds []*command, err error) ([]Result, error) {
	done := make(map[*Result]bool)
	for _, c := range cmds {
		done[c.result] = c.settled
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
	seen := make(map[string]bool)
	var targets []target
	for i, u := range updates {
		why := checkUpdate(u)
		if why == "" && seen[u.Branch] {
			why = "the branch is in this push already"
		}
		if why != "" {
			results[i].Err = &UpdateError{u.Branch, why}
			continue
		}
		seen[u.Branch] = true
		if u.Delete {
			continue
		}
		t := target{blobs: true, paths: []string{""}}
		t.commit, _ = parseOID(string(u.Parent))
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

func checkUpdate(u BranchUpdate) string {
	if why := checkBranch(u.Branch); why != "" {
		return why
	}
	switch {
	case u.Old != "" && !u.Old.Valid():
		return "its old value is not an object name"
	case u.Delete && u.Old == "":
		return "a branch is deleted only at a known commit"
	case u.Delete:
		return ""
	case !u.Parent.Valid():
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
	old, new oid // zero: absent
	result   *Result
	reason   string // the server's, when it refused
	unclear  bool   // the server did not say what it did
	settled  bool
}

func (c *command) name() string { return branchPrefix + c.result.Branch }

func (c *command) done() {
	c.settled = true
	if c.new != (oid{}) {
		c.result.New = c.new.hash()
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
	if report.UnpackStatus != fine && len(objects) > 0 {
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
			Name: plumbing.ReferenceName(c.name()), Old: c.old.plumbing(), New: c.new.plumbing(),
		})
	}
	if err := req.Encode(&b); err != nil {
		return nil, fmt.Errorf("%s: %w", opPush, err)
	}
	if len(objects) == 0 {
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
		if c.new != (oid{}) {
			want = c.new.hash()
		}
		switch now := refs.Branch(c.result.Branch); now {
		case want:
			c.done()
		case old:
			c.result.Err = &RejectedError{Host: host, Branch: c.result.Branch, Reason: c.reason, passing: c.unclear}
		default:
			c.result.Err = &StaleError{c.result.Branch, old, now}
		}
		c.settled = true
	}
	return nil
}

// looksLocked recognises a refusal that passes: another writer held the reference. There is only text.
func looksLocked(status string) bool {
	return strings.Contains(status, "failed to update ref") || strings.Contains(status, "lock")
}
