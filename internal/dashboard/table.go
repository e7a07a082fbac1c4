package dashboard

import (
	"cmp"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// Table shows apps by environments: the environments that belong together, in the order in which releases pass them.
type Table struct {
	Environments []Column `json:"environments"`
	Apps         []Row    `json:"apps"`
}

// Column is one environment of a table.
type Column struct {
	Repo  string   `json:"repository"`
	Name  string   `json:"name"`
	After []string `json:"after,omitempty"` // in full: repository and name
}

// Row is images that stand alike in all environments of a table.
type Row struct {
	Images []image.Name `json:"images"`
	Cells  []Cell       `json:"cells"` // one for each environment, in their order
}

// Cell is how an app stands in an environment.
type Cell struct {
	Listed bool   `json:"listed"`           // a kustomization of the environment sets it
	Sets   string `json:"sets,omitempty"`   // the tag, or else the digest, that base sets
	Runs   string `json:"runs,omitempty"`   // what demonstrably runs; empty: nobody knows
	OnHold string `json:"onHold,omitempty"` // why
	Next   []Next `json:"next,omitempty"`   // what is on its way, oldest first
	Say    string `json:"say,omitempty"`    // why what was pushed does not move, where nothing is on its way
}

// Next is a release on its way into an environment.
type Next struct {
	Label string          `json:"label"` // its tag
	State promotion.State `json:"state"`
	Gate  gate.State      `json:"gate,omitempty"`
	For   []string        `json:"for,omitempty"` // the policies that do not allow it
	Say   string          `json:"say,omitempty"` // the sentence of the first of them
	URL   string          `json:"url,omitempty"`
}

// spot is an environment on its way into a table.
type spot struct {
	repo  string
	env   Environment
	after []int
	depth int
	table int // the least number of those it belongs together with
}

// tables divides all environments into those that belong together, by `after` or by an image that both set.
func tables(repos []Repo) []Table {
	var places []spot
	at := map[string]int{}
	for _, r := range repos {
		for _, e := range r.Environments {
			at[envKey(r.Name, e.Name)] = len(places)
			places = append(places, spot{repo: r.Name, env: e, table: len(places)})
		}
	}
	root := func(i int) int {
		for places[i].table != i {
			i = places[i].table
		}
		return i
	}
	join := func(a, b int) {
		a, b = root(a), root(b)
		places[max(a, b)].table = min(a, b)
	}
	users := map[image.Name]int{}
	for i := range places {
		p := &places[i]
		for _, ref := range p.env.After {
			if j, known := at[fullRef(p.repo, ref)]; known {
				p.after = append(p.after, j)
				join(i, j)
			}
		}
		for _, img := range p.env.Images {
			if j, used := users[img.Name]; used {
				join(i, j)
			} else {
				users[img.Name] = i
			}
		}
	}
	deepen(places)
	groups := map[int][]spot{}
	var order []int
	for i := range places {
		if len(places[i].env.Images) == 0 && places[i].after == nil && root(i) == i && !slices.ContainsFunc(places, func(p spot) bool { return slices.Contains(p.after, i) }) {
			continue // it has nothing to show
		}
		if _, seen := groups[root(i)]; !seen {
			order = append(order, root(i))
		}
		groups[root(i)] = append(groups[root(i)], places[i])
	}
	list := []Table{}
	for _, i := range order {
		slices.SortStableFunc(groups[i], func(a, b spot) int { return cmp.Compare(a.depth, b.depth) })
		list = append(list, tableOf(groups[i]))
	}
	return list
}

func envKey(repo, name string) string { return strings.ToLower(repo) + ":" + name }

// fullRef is a reference under `after` in full.
func fullRef(repo, ref string) string {
	if i := strings.LastIndexByte(ref, ':'); i >= 0 {
		return envKey(ref[:i], ref[i+1:])
	}
	return envKey(repo, ref)
}

// deepen gives every place the length of the longest way to it. A circle, which no gate ever lets through, ends somewhere.
func deepen(places []spot) {
	for range places {
		changed := false
		for i := range places {
			for _, j := range places[i].after {
				if d := places[j].depth + 1; d > places[i].depth && d <= len(places) {
					places[i].depth, changed = d, true
				}
			}
		}
		if !changed {
			return
		}
	}
}

func tableOf(places []spot) Table {
	t := Table{Apps: []Row{}}
	var names []image.Name
	for _, p := range places {
		c := Column{Repo: p.repo, Name: p.env.Name}
		for _, ref := range p.env.After {
			if !strings.Contains(ref, ":") {
				ref = p.repo + ":" + ref
			}
			c.After = append(c.After, ref)
		}
		t.Environments = append(t.Environments, c)
		for _, img := range p.env.Images {
			if !slices.Contains(names, img.Name) {
				names = append(names, img.Name)
			}
		}
	}
	slices.Sort(names)
	for _, n := range names {
		row := Row{Images: []image.Name{n}}
		for _, p := range places {
			row.Cells = append(row.Cells, cellOf(p.env, n))
		}
		i := slices.IndexFunc(t.Apps, func(o Row) bool { return slices.EqualFunc(o.Cells, row.Cells, sameCell) })
		if i >= 0 {
			t.Apps[i].Images = append(t.Apps[i].Images, n)
			continue
		}
		t.Apps = append(t.Apps, row)
	}
	return t
}

func sameCell(a, b Cell) bool {
	return a.Listed == b.Listed && a.Sets == b.Sets && a.Runs == b.Runs && a.OnHold == b.OnHold && a.Say == b.Say &&
		slices.EqualFunc(a.Next, b.Next, func(x, y Next) bool {
			return x.Label == y.Label && x.State == y.State && x.Gate == y.Gate && x.URL == y.URL
		})
}

func cellOf(env Environment, name image.Name) Cell {
	var c Cell
	for _, img := range env.Images {
		if img.Name != name {
			continue
		}
		sets := tagOrDigest(img.Tag, img.Digest)
		if c.Listed && c.Sets != sets {
			sets = c.Sets + "/" + sets // its directories differ
		}
		c.Listed, c.Sets = true, sets
		if img.Running != nil {
			c.Runs = tagOrDigest(img.Running.Tag, img.Running.Digest)
		}
	}
	if !c.Listed {
		return c
	}
	for _, h := range env.Holds {
		if h.Covers(env.Name, name) {
			c.OnHold = h.Reason
			break
		}
	}
	for _, p := range env.Promotions {
		if i := slices.IndexFunc(p.Release.Changes, func(ch promotion.Change) bool { return ch.Image == name }); i >= 0 {
			c.Next = append(c.Next, nextOf(p, p.Release.Changes[i]))
		}
	}
	for _, n := range env.Notes {
		if c.Say == "" && n.Image == name && len(c.Next) == 0 {
			c.Say = n.Say
		}
	}
	return c
}

func nextOf(p promotion.Promotion, c promotion.Change) Next {
	n := Next{Label: tagOrDigest(c.Tag, c.Digest), State: p.State, URL: p.URL}
	if !p.State.Active() || p.Gate == nil {
		return n
	}
	n.Gate = p.Gate.State
	for _, r := range p.Gate.Rulings {
		if r.State == gate.Allow {
			continue
		}
		n.For = append(n.For, r.Policy)
		if n.Say == "" {
			n.Say = r.Say
		}
	}
	return n
}

func tagOrDigest(tag string, digest image.Digest) string {
	if tag == "" && digest != "" {
		return digest.Short()
	}
	return tag
}
