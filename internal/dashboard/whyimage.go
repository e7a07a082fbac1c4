package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// asked is an image that somebody asks about, and what is known of it everywhere.
type asked struct {
	name   image.Name
	tag    string       // empty: any
	digest image.Digest // empty: any
	pushes []store.Push // of that tag and digest, oldest first
	tags   map[string]store.Tag
}

func (q asked) String() string { return image.Ref{Name: q.name, Tag: q.tag, Digest: q.digest}.String() }

// means tells whether a tag at a digest is what is asked about.
func (q asked) means(tag string, digest image.Digest) bool {
	return (q.tag == "" || tag == q.tag) && (q.digest == "" || digest == q.digest)
}

// digests are those at which the tag that is asked about was pushed, or stands at its registry.
func (q asked) digests() []image.Digest {
	var list []image.Digest
	for _, p := range q.pushes {
		list = append(list, p.Digest)
	}
	for _, t := range q.tags {
		if q.means(t.Tag, t.Digest) {
			list = append(list, t.Digest)
		}
	}
	if q.digest != "" {
		list = append(list, q.digest)
	}
	return slices.DeleteFunc(list, func(d image.Digest) bool { return d == "" })
}

func (a *API) whyImage(ctx context.Context, e *Explanation, about string) error {
	text, q := about, asked{}
	ref, notImage := image.Parse(about)
	if notImage == nil {
		q.tag, q.digest = ref.Tag, ref.Digest
		text, _, _ = strings.Cut(about, "@")
		text = strings.TrimSuffix(text, ":"+ref.Tag)
	}
	repos, err := a.Store.Repos(ctx)
	if err != nil {
		return err
	}
	memories := map[promotion.RepoKey]store.Memory{}
	known, err := a.pushedLately(ctx)
	if err != nil {
		return err
	}
	for _, r := range repos {
		if memories[r.Key], err = a.Store.Memory(ctx, r.Key); err != nil {
			return err
		}
		known = append(known, imagesOf(memories[r.Key].Listings, "")...)
	}
	slices.Sort(known)
	matched := matchImages(text, slices.Compact(known))
	if len(matched) == 0 {
		if _, found, err := a.Store.Delivery(ctx, about); err != nil {
			return err
		} else if found {
			return a.whyDelivery(ctx, e, about)
		}
		if notImage != nil {
			return &Problem{
				Message: quote(about) + " is no image, pull request or delivery that is known",
				Fix:     "write an image as registry/repository:tag, a pull request as owner/name#7", Status: http.StatusNotFound,
			}
		}
		matched = []image.Name{ref.Name}
		if !strings.EqualFold(text, string(ref.Name)) {
			e.say(time.Time{}, "", "no image that is known ends in "+text+"; as it stands it names "+string(ref.Name), "write an image with its registry")
		}
	}
	work, err := a.workOf(ctx)
	if err != nil {
		return err
	}
	for _, q.name = range matched {
		if err := a.whyPushes(ctx, e, &q); err != nil {
			return err
		}
		listed := false
		for _, r := range repos {
			listed = whyInRepo(e, r, memories[r.Key], work[r.Key], q) || listed
		}
		if !listed {
			e.say(time.Time{}, "", "no kustomization of any environment lists "+string(q.name), "add it under images: of a kustomization, or check the name: it is matched against newName, else name")
		}
	}
	return nil
}

// pushedLately are the images of the newest deliveries, so that an image is also found by a short name where nothing lists it.
func (a *API) pushedLately(ctx context.Context) ([]image.Name, error) {
	const newest = 1000
	deliveries, err := a.Store.Deliveries(ctx, store.DeliveryFilter{Outcome: store.Stored, Limit: newest})
	if err != nil {
		return nil, err
	}
	var list []image.Name
	for _, d := range deliveries {
		for _, name := range d.Images {
			list = append(list, image.Name(name))
		}
	}
	return list, nil
}

// whyPushes tells what registries said of an image, and keeps it.
func (a *API) whyPushes(ctx context.Context, e *Explanation, q *asked) error {
	pushes, err := a.Store.Pushes(ctx, []image.Name{q.name}, time.Time{})
	if err != nil {
		return err
	}
	tags, err := a.Store.Tags(ctx, []image.Name{q.name})
	if err != nil {
		return err
	}
	q.tags = tags[q.name]
	q.pushes = slices.DeleteFunc(pushes, func(p store.Push) bool {
		if p.Digest == "" && q.digest != "" { // its sender does not say digests; the registry did
			return !q.means(p.Tag, q.tags[p.Tag].Digest)
		}
		return !q.means(p.Tag, p.Digest)
	})
	shown := q.pushes
	const most = 5
	if len(shown) > most {
		e.say(time.Time{}, "", count(len(shown)-most, "earlier push is", "earlier pushes are")+" not shown", "")
		shown = shown[len(shown)-most:]
	}
	for _, p := range shown {
		if err := a.sayPushed(ctx, e, q.name, p); err != nil {
			return err
		}
	}
	if len(shown) == 0 {
		hint, err := a.listening(ctx)
		if err != nil {
			return err
		}
		e.say(time.Time{}, "", "no delivery has told of a push of "+q.String(), hint)
	}
	if err := a.sayPolled(ctx, e, q.name); err != nil {
		return err
	}
	if t, ok := q.tags[q.tag]; ok && q.tag != "" {
		switch {
		case t.Err != "":
			e.say(t.ReadAt, "", "the registry could not be asked about "+q.tag+": "+t.Err, "it is asked again by itself; check its credentials if this lasts")
		case t.Digest == "":
			e.say(t.ReadAt, "", "the registry says that it has no tag "+q.tag, "push it again if it should be there")
		}
	}
	return nil
}

// listening says where pushes are listened for, and what came last.
func (a *API) listening(ctx context.Context) (string, error) {
	if len(a.Senders) == 0 {
		return "no registry can tell of pushes: name one under registries: in boatlift.yaml", nil
	}
	hint := "check that its registry posts to one of the endpoints: " + strings.Join(a.Senders, ", ")
	last, err := a.Store.Deliveries(ctx, store.DeliveryFilter{Limit: 1})
	switch {
	case err != nil:
		return "", err
	case len(last) == 0:
		return hint + "; nothing has come to any of them yet", nil
	}
	hint += fmt.Sprintf("; the last delivery of all came to /hooks/%s at %s and was %s", last[0].Sender, moment(last[0].ReceivedAt), last[0].Outcome)
	if last[0].Outcome != store.Stored && last[0].Reason != "" {
		hint += ": " + last[0].Reason
	}
	return hint, nil
}

// whyInRepo tells where an image stands in the environments of one repo.
func whyInRepo(e *Explanation, r store.Repo, m store.Memory, w store.WorkRow, q asked) (listed bool) {
	for _, env := range r.Environments {
		under := r.FullName + ":" + env.Name
		here := slices.DeleteFunc(slices.Clone(m.Listings), func(l promotion.Listing) bool { return l.Environment != env.Name || l.Image != q.name })
		if len(here) == 0 {
			continue
		}
		listed = true
		for _, l := range here {
			e.say(time.Time{}, under, l.File+" has "+label(l.Tag, l.Digest), "")
			if l.Refusal != "" {
				e.say(time.Time{}, under, "the bot does not edit it: "+l.Refusal, "")
			}
		}
		if run, ok := runningIn(m, env.Name).Images[q.name]; ok {
			e.say(run.Since, under, label(run.Tag, run.Digest)+" runs", "")
		}
		if env.Mode == promotion.Off {
			e.say(time.Time{}, under, "mode: off, so nothing happens", "set mode: in .boatlift.yaml to observe or propose")
			continue
		}
		said := whyStands(e, under, env, m, q)
		if sayState(e, under, r, w) || said {
			continue
		}
		whyNothing(e, under, m.FirstSeen[store.EnvImage{Environment: env.Name, Image: q.name}], here, q)
	}
	return listed
}

// whyStands tells of an image's promotions, rejections, holds and notes in an environment; it returns whether there are any.
func whyStands(e *Explanation, under string, env store.EnvRow, m store.Memory, q asked) bool {
	before := len(e.Says)
	rejected := map[image.Digest]bool{}
	for _, p := range telling(env.Name, m.Promotions, q) {
		explain(e, under, p, m.Promotions)
		if p.State == promotion.Rejected {
			for _, c := range p.Release.Changes {
				rejected[c.Digest] = true
			}
		}
	}
	digests := q.digests()
	for _, j := range m.Rejections {
		if j.Environment == env.Name && j.Image == q.name && slices.Contains(digests, j.Digest) && !rejected[j.Digest] {
			rejected[j.Digest] = true
			e.say(j.At, under, fmt.Sprintf("%s was rejected here by %s, under whatever tag it comes", j.Digest.Short(), orSomebody(j.Actor)), "reopen its pull request to take the rejection back, or push a newer image")
		}
	}
	reasons := map[string]bool{}
	for _, h := range m.Holds {
		if h.Covers(env.Name, q.name) {
			reasons["on hold: "+h.Reason] = true
			e.say(h.At, under, fmt.Sprintf("on hold by %s: %s", orSomebody(h.Actor), h.Reason), liftHint(under, h))
		}
	}
	for _, n := range m.Notes {
		if app, ok := concerns(n, env, m.Listings, q.name); ok && !reasons[n.Say] {
			e.add(Sentence{At: n.Since, Until: n.Until, Under: under, Say: app + n.Say, Hint: n.Hint})
		}
	}
	return len(e.Says) > before
}

func liftHint(under string, h promotion.Hold) string {
	if h.Reason == promotion.LostReason {
		return "" // which says what to do
	}
	hint := "let it go with boatlift lift " + under
	for _, name := range h.Images {
		hint += " " + string(name)
	}
	return hint
}

// telling are the promotions of an environment that say something about what is asked: those that stand, and the newest that ended.
func telling(environment string, all []promotion.Promotion, q asked) []promotion.Promotion {
	const most = 3
	list := slices.DeleteFunc(slices.Clone(all), func(p promotion.Promotion) bool {
		return p.Release.Environment != environment || !slices.ContainsFunc(p.Release.Changes, func(c promotion.Change) bool {
			return c.Image == q.name && q.means(c.Tag, c.Digest)
		})
	})
	ended := 0
	for i := len(list) - 1; i >= 0; i-- {
		if stands(list[i], all) {
			continue
		}
		if ended++; ended > most {
			list = slices.Delete(list, i, i+1)
		}
	}
	return list
}

// concerns tells whether a note is about an image. One about a whole app names no image; where the app's name leaves it open whether the
// image belongs to it, the note is given with that name.
func concerns(n promotion.Note, env store.EnvRow, listings []promotion.Listing, name image.Name) (app string, ok bool) {
	switch {
	case n.Environment != env.Name:
		return "", false
	case n.Image != "":
		return "", n.Image == name
	case n.App == "" || n.App == env.Name:
		return "", true
	}
	parts := strings.Split(n.App, "+")
	if slices.Contains(parts, name.Base()) {
		return "", true
	}
	bases := map[string]bool{}
	for _, l := range listings {
		if l.Environment != env.Name {
			continue
		}
		bases[l.Image.Base()] = true
		if l.Image == name && strings.Trim(strings.TrimPrefix(path.Dir(l.File), env.Path), "/") == n.App {
			return "", true
		}
	}
	if !slices.ContainsFunc(parts, func(p string) bool { return !bases[p] }) {
		return "", false // the app is other images
	}
	return "app " + n.App + ": ", true
}

// whyNothing finds a reason for silence.
func whyNothing(e *Explanation, under string, since time.Time, here []promotion.Listing, q asked) {
	if len(q.pushes) == 0 {
		return
	}
	newest := q.pushes[len(q.pushes)-1]
	switch {
	case q.tag == "" && q.digest == "" && !slices.ContainsFunc(here, func(l promotion.Listing) bool { return l.Tag != newest.Tag }):
		e.say(time.Time{}, under, "the tag that was pushed last is set here already", "")
	case (q.tag != "" || q.digest != "") && !slices.ContainsFunc(here, func(l promotion.Listing) bool { return !q.means(l.Tag, cmp.Or(l.Digest, q.digest)) }):
		e.say(time.Time{}, under, "it is set here already", "")
	case !slices.ContainsFunc(q.pushes, func(p store.Push) bool { return p.ReceivedAt.After(since) }):
		e.say(since, under, "the image was first seen here after it was pushed, and what was there before is not proposed", "boatlift sync "+string(q.name)+" proposes it all the same")
	default:
		e.say(time.Time{}, under, "nothing is open here, and nothing waits", "if .boatlift.yaml has images: for this environment, one of them has to match the image")
	}
}
