package polling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// job is the work on one image of a sync.
type job struct {
	name   image.Name
	before store.Polled
	pushes int64
	of     viewsOf
	sight  sight
	failed bool
}

// Sync asks for images now, and brings what their environments would move to if they knew of it, also where it was at the registry
// before the environment was first seen. tell is called for each image, in one goroutine. Nothing is stored before all images were asked
// for; what could be asked for is then stored although others failed.
func (p *Poller) Sync(ctx context.Context, o Sync, tell func(Step)) (Result, error) {
	result := Result{DryRun: o.DryRun, Proposals: []Proposal{}, Notes: []Note{}}
	views := newViews(p)
	jobs, err := p.jobs(ctx, o.Images, views)
	if err != nil {
		return result, err
	}
	result.Images = len(jobs)
	p.askAll(ctx, jobs, func(done int, j *job, err error) {
		step := Step{Done: done, All: len(jobs), Image: j.name, Tags: len(j.sight.tags), Found: []Tag{}}
		step.Found = append(step.Found, j.sight.found...)
		if err != nil {
			result.Failed++
			step.Error, step.Hint = firstLine(err), hintOf(err)
		}
		result.Found += len(j.sight.found)
		tell(step)
	})
	if err := ctx.Err(); err != nil {
		return result, context.Cause(ctx)
	}
	if result.Proposals, result.Notes, err = p.foresee(ctx, jobs); err != nil {
		return result, err
	}
	if o.DryRun {
		return result, nil
	}
	return result, p.store(ctx, o, jobs)
}

// jobs finds the images that a sync is about.
func (p *Poller) jobs(ctx context.Context, images []image.Name, views *views) ([]*job, error) {
	due, err := p.Store.PollsDue(ctx)
	if err != nil {
		return nil, err
	}
	var listed []image.Name
	for _, d := range due {
		listed = append(listed, d.Image)
	}
	slices.Sort(listed)
	told, err := p.Store.PushedImages(ctx, listed)
	if err != nil {
		return nil, err
	}
	polled, pushes, err := p.Store.Polled(ctx, listed)
	if err != nil {
		return nil, err
	}
	var jobs []*job
	for _, name := range listed {
		r, ours := p.byHost[name.Host()]
		if ours && r.Told && len(images) == 0 {
			mine, err := p.ours(ctx, r, []image.Name{name})
			if err != nil {
				return nil, err
			}
			ours = len(mine) > 0
		}
		if len(images) > 0 && !slices.Contains(images, name) || len(images) == 0 && !ours && !slices.Contains(told, name) {
			continue
		}
		of, err := views.of(ctx, name)
		if err != nil {
			return nil, err
		}
		if len(images) == 0 && !of.wanted(name) {
			continue
		}
		j := &job{name: name, before: polled[name], pushes: pushes, of: of}
		j.before.Image = name
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// askAll asks for all images, a few at a time. done is called for each of them, one after the other.
func (p *Poller) askAll(ctx context.Context, jobs []*job, done func(n int, j *job, err error)) {
	type answer struct {
		j   *job
		err error
	}
	next, answers := make(chan *job), make(chan answer)
	var askers sync.WaitGroup
	defer askers.Wait()
	for range min(slots, len(jobs)) {
		askers.Go(func() {
			for j := range next {
				answers <- answer{j, p.bring(ctx, j)}
			}
		})
	}
	askers.Go(func() {
		defer close(next)
		for _, j := range jobs {
			next <- j
		}
	})
	for n := range jobs { // every job is answered, so nothing is left behind
		a := <-answers
		if a.err != nil {
			a.j.failed, a.j.sight.found = true, nil
		}
		done(n+1, a.j, a.err)
	}
}

// bring looks at an image, and adds to what was found what an environment would move to and never heard of.
func (p *Poller) bring(ctx context.Context, j *job) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			p.Log.Error("a fault in the program", "image", string(j.name), "fault", fault)
			err = fmt.Errorf("a fault in the program: %v", fault)
		}
	}()
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if j.sight, err = p.look(ctx, j.name, j.before, j.pushes, j.of); err != nil {
		return err
	}
	listed := seenOf(j.sight.tags)
	if j.of.byTime(j.name) {
		if err := p.date(ctx, j, listed); err != nil {
			return err
		}
	}
	place := make(map[string]int, len(listed))
	for i, s := range listed {
		place[s.Tag] = i
	}
	var brought []Tag
	for _, tag := range j.of.union(func(w promotion.World) []string { return promotion.Candidates(w, j.name, listed) }) {
		if slices.ContainsFunc(j.sight.found, func(f Tag) bool { return f.Tag == tag }) {
			continue
		}
		if err := p.resolve(ctx, j.name, tag, j.sight.at); err != nil {
			return err
		}
		seen := image.Seen{Tag: tag, Digest: j.sight.at[tag], First: listed[place[tag]].First}
		if seen.Digest != "" && slices.ContainsFunc(j.of, func(v *view) bool { return promotion.Missed(v.world, j.name, seen) }) {
			brought = append(brought, Tag{Tag: tag, Digest: seen.Digest, Why: wasThere, order: seen.First})
		}
	}
	slices.SortStableFunc(brought, func(a, b Tag) int { return a.order.Compare(b.order) })
	j.sight.found = append(brought, j.sight.found...) // what was there before came before what is new
	j.sight.polled.Digests = remember(j.before.Digests, j.sight)
	return nil
}

// date adds when images were built to the last tags that a rule takes.
func (p *Poller) date(ctx context.Context, j *job, listed []image.Seen) error {
	allowed := j.of.union(func(w promotion.World) []string { return promotion.Allowed(w, j.name, j.sight.tags) })
	slices.SortFunc(allowed, byNumbers)
	dated := map[string]time.Time{}
	for n, tag := range allowed[max(0, len(allowed)-datedMost):] {
		created, err := p.created(ctx, j.name, tag)
		if err != nil {
			return err
		}
		if created.IsZero() { // the numbers in the tags are all there is to go by
			created = time.Unix(int64(n+1), 0)
		}
		dated[tag] = created
	}
	for i := range listed {
		listed[i].First = dated[listed[i].Tag]
	}
	return nil
}

// foresee tells what follows from what was found.
func (p *Poller) foresee(ctx context.Context, jobs []*job) ([]Proposal, []Note, error) {
	proposals, notes := []Proposal{}, []Note{}
	asked := map[image.Name]bool{}
	byRepo := map[*view][]*job{}
	var repos []*view
	for _, j := range jobs {
		asked[j.name] = !j.failed
		for _, v := range j.of {
			if byRepo[v] == nil {
				repos = append(repos, v)
			}
			byRepo[v] = append(byRepo[v], j)
		}
	}
	slices.SortFunc(repos, func(a, b *view) int { return strings.Compare(a.repo.FullName, b.repo.FullName) })
	for _, v := range repos {
		w := v.world
		w.Tags = map[image.Name][]promotion.Known{}
		for name, known := range v.world.Tags {
			w.Tags[name] = slices.Clone(known)
		}
		for _, j := range byRepo[v] {
			w.Tags[j.name] = withFound(w.Tags[j.name], j.sight.pushes(j.name, p.Now()))
		}
		preview, err := p.preview(ctx, w)
		if err != nil {
			return nil, nil, err
		}
		for _, one := range preview.Proposals {
			changes := []Change{}
			ours := false
			for _, c := range one.Release.Changes {
				ours = ours || asked[c.Image]
				changes = append(changes, Change{Image: c.Image, From: c.FromTag, Tag: c.Tag, Digest: c.Digest})
			}
			if ours {
				proposals = append(proposals, Proposal{
					Environment: v.repo.FullName + ":" + one.Release.Environment, App: one.Release.App, Label: one.Release.Label(),
					Changes: changes, Open: one.Open, Not: one.Not,
				})
			}
		}
		for _, n := range preview.Notes {
			if asked[n.Image] {
				notes = append(notes, Note{Environment: v.repo.FullName + ":" + n.Environment, Image: n.Image, Tag: n.Tag, Say: n.Say, Hint: n.Hint})
			}
		}
	}
	return proposals, notes, nil
}

// preview asks what a preview needs to know: where tags point, and for which platforms images are built.
func (p *Poller) preview(ctx context.Context, w promotion.World) (promotion.Preview, error) {
	w.Built = map[image.Digest]promotion.Built{}
	for {
		preview := promotion.Foresee(w)
		if len(preview.Asks) == 0 {
			return preview, nil
		}
		for _, ask := range preview.Asks {
			if ctx.Err() != nil {
				return preview, context.Cause(ctx)
			}
			if again := p.answer(ctx, w, ask); again {
				return preview, fmt.Errorf("a fault in the program: the preview asks again for %s:%s", ask.Image.Image, ask.Tag)
			}
		}
	}
}

// answer puts the answer to what a preview asks into the world. It tells whether it is there already.
func (p *Poller) answer(ctx context.Context, w promotion.World, ask promotion.Ask) (again bool) {
	name, later := ask.Image.Image, w.Now.Add(store.TagRetry)
	if ask.Digest != "" {
		_, again = w.Built[ask.Digest]
		facts, err := p.Asker.Facts(ctx, name, ask.Digest)
		built := promotion.Built{Facts: facts}
		if err != nil {
			built.Problem, built.RetryAt = firstLine(err), later
		}
		w.Built[ask.Digest] = built
		return again
	}
	known := w.Tags[name]
	i := slices.IndexFunc(known, func(k promotion.Known) bool { return k.Tag == ask.Tag })
	if i < 0 || known[i].Digest != "" || known[i].Gone || known[i].RetryAt.Equal(later) {
		return true
	}
	at := map[string]image.Digest{}
	if err := p.resolve(ctx, name, ask.Tag, at); err != nil {
		known[i].Problem, known[i].RetryAt = firstLine(err), later
		return false
	}
	known[i].Digest, known[i].Problem = at[ask.Tag], ""
	known[i].Gone = known[i].Digest == ""
	return false
}

// withFound adds pushes to what is known of an image's tags.
func withFound(known []promotion.Known, pushes []store.Push) []promotion.Known {
	for _, push := range pushes {
		k := promotion.Known{Seen: image.Seen{Tag: push.Tag, Digest: push.Digest, First: push.ReceivedAt}, Last: push.ReceivedAt}
		known = append(slices.DeleteFunc(known, func(was promotion.Known) bool { return was.Tag == push.Tag }), k)
	}
	return known
}

// store records what was found, with who asked for it. The trail has one entry of each image of which something was found; that
// somebody asked is there in any case.
func (p *Poller) store(ctx context.Context, o Sync, jobs []*job) error {
	ctx = context.WithoutCancel(ctx) // it is short, and half of it would be harder to understand than all
	if len(jobs) == 0 {
		return nil
	}
	var names []image.Name
	for _, j := range jobs {
		names = append(names, j.name)
	}
	detail, err := json.Marshal(map[string]any{"images": len(names), "first": names[:min(len(names), 100)]})
	if err != nil {
		return err
	}
	subject := "all images"
	if len(o.Images) > 0 {
		subject = fmt.Sprintf("%d images", len(names))
		if len(names) == 1 {
			subject = string(names[0])
		}
	}
	if err := p.Store.Audit(ctx, store.AuditEntry{Actor: o.Actor, Role: o.Role, Action: "asked for a sync", Subject: subject, Detail: detail}); err != nil {
		return err
	}
	for _, j := range jobs {
		if j.failed {
			continue
		}
		if err := p.storeOne(ctx, o, j); err != nil {
			return err
		}
	}
	return nil
}

func (p *Poller) storeOne(ctx context.Context, o Sync, j *job) error {
	r := p.byHost[j.name.Host()]
	j.sight.polled.DueAt = time.Time{}
	if r.Every > 0 {
		j.sight.polled.DueAt = p.Now().Add(r.Every)
	}
	found := store.Found{Pushes: j.sight.pushes(j.name, p.Now())}
	if len(found.Pushes) > 0 {
		detail, err := json.Marshal(j.sight.found[max(0, len(j.sight.found)-100):])
		if err != nil {
			return err
		}
		found.Delivery = store.Delivery{
			Sender: SyncSender, Event: r.Name, Outcome: store.Stored, About: about(j.name, found.Pushes), Reason: o.Actor + " asked for it with boatlift sync",
		}
		found.Audit = []store.AuditEntry{{Actor: o.Actor, Role: o.Role, Action: "synced", Subject: string(j.name), Detail: detail}}
	}
	_, err := p.Store.SavePolled(ctx, j.sight.polled, found)
	if !errors.Is(err, store.ErrLost) {
		return err
	}
	// A poll was quicker. What it brought is not brought again.
	again, _, err := p.Store.Polled(ctx, []image.Name{j.name})
	if err != nil {
		return err
	}
	told, err := p.Store.PushesAfter(ctx, j.name, j.pushes)
	if err != nil {
		return err
	}
	found.Pushes = slices.DeleteFunc(found.Pushes, func(push store.Push) bool {
		return slices.ContainsFunc(told, func(t store.Push) bool { return t.Tag == push.Tag && t.Digest == push.Digest })
	})
	_, err = p.Store.SavePolled(ctx, again[j.name], found)
	return err
}

func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}
