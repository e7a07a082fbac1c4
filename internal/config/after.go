package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/didyoumean"
	"github.com/boatlift/boatlift/internal/promotion"
)

// repoPattern is a repository's full name: owner/name, or at GitLab group/subgroup/name.
var repoPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?(/[A-Za-z0-9._-]+)+$`)

const afterRight = "write owner/name:environment, as acme/infra-acceptance:acceptance, or the name of an environment of this file"

// after reads what an environment comes after. What is wrong is kept out.
func (r *repoCheck) after(e environment) []promotion.EnvRef {
	var refs []promotion.EnvRef
	for _, t := range e.After {
		if !t.set {
			continue
		}
		var ref promotion.EnvRef
		repo, name, found := strings.Cut(t.value, ":")
		switch {
		case found && (!repoPattern.MatchString(repo) || strings.HasSuffix(repo, "/.") || strings.HasSuffix(repo, "/..")):
			r.add(t, shown(repo)+" is no repository", afterRight)
			continue
		case found:
			ref = promotion.EnvRef{Repo: repo, Environment: name}
		case strings.Contains(t.value, "/"):
			r.add(t, shown(t.value)+" names a repository, but none of its environments", afterRight)
			continue
		default:
			ref = promotion.EnvRef{Environment: t.value}
		}
		if !namePattern.MatchString(ref.Environment) || len(ref.Environment) > maxName {
			r.add(t, shown(ref.Environment)+" is no environment's name", afterRight)
			continue
		}
		if slices.ContainsFunc(refs, func(o promotion.EnvRef) bool { return strings.EqualFold(o.String(), ref.String()) }) {
			r.add(t, shown(t.value)+" stands here twice", "write it once")
			continue
		}
		refs = append(refs, ref)
	}
	return refs
}

// order checks how the environments of one file come after each other.
func (r *repoCheck) order(shapes []environment, environments []promotion.Environment) {
	var names []string
	index := map[string]int{}
	for i, e := range environments {
		if e.Name != "" {
			names = append(names, e.Name)
			index[e.Name] = i
		}
	}
	edges := make([][]int, len(environments))
	for i, e := range environments {
		if len(e.After) > 0 && e.Pin == promotion.PinTag {
			r.add(shapes[i].Pin, "pin: tag does not go with after: a tag can move, so the same tag need not be the same image there and here", "write pin: tag+digest or pin: digest")
		}
		r.needsAfter(shapes[i])
		for _, ref := range e.After {
			where := placeOfRef(shapes[i], ref)
			if ref.Repo != "" {
				continue
			}
			j, known := index[ref.Environment]
			switch {
			case !known:
				right := "no environment of this file has that name; for one of another repository write owner/name:" + ref.Environment
				if near := didyoumean.Word(ref.Environment, names); near != "" {
					right = "did you mean " + near + "? for one of another repository write owner/name:" + ref.Environment
				}
				r.add(where, "the environment "+shown(ref.Environment)+" is not known", right)
			case j == i:
				r.add(where, e.Name+" comes after itself", "name the environment before it, or leave after out")
			default:
				edges[i] = append(edges[i], j)
				r.upstream(shapes[j], environments[j], shapes[i].name("this environment"), where)
			}
		}
	}
	for i := range environments {
		if cycle := cycleFrom(i, edges); cycle != nil && i == slices.Min(cycle) {
			var way []string
			for _, j := range append(cycle, i) {
				way = append(way, environments[j].Name)
			}
			r.add(shapes[i].After[0], "the environments come after each other in a circle: "+strings.Join(way, " after "), "leave one of these out; the first environment comes after none")
		}
	}
}

// upstream checks an environment that another of the same file comes after.
func (r *repoCheck) upstream(shape environment, env promotion.Environment, next string, where placed) {
	if env.Pin == promotion.PinTag {
		r.add(shape.Pin, "pin: tag is not possible here, as "+next+" comes after "+env.Name+" and compares digests", "write pin: tag+digest or pin: digest")
	}
	if shape.Rollout == nil {
		r.add(where, env.Name+" does not say what counts as its rollout, so "+next+" would wait for ever", "write rollout: {deployment: "+env.Name+"} at "+env.Name)
	}
}

// needsAfter refuses policies that look at the environments before where there are none.
func (r *repoCheck) needsAfter(e environment) {
	if e.given["after"] {
		return
	}
	for _, use := range e.Policies {
		if use.set && needsAfter(r.checker, use.use) {
			r.add(use, "the policy "+use.use.Policy+" looks at the environments before, and "+e.name("this environment")+" comes after none", "write after: for the environment, or leave the policy out")
		}
	}
}

// placeOfRef is where the file names an environment under after.
func placeOfRef(e environment, ref promotion.EnvRef) placed {
	for _, t := range e.After {
		if t.value == ref.String() {
			return t
		}
	}
	return e
}

// cycleFrom finds a way from an environment back to itself.
func cycleFrom(start int, edges [][]int) []int {
	from := map[int]int{}
	next := []int{start}
	for len(next) > 0 {
		at := next[0]
		next = next[1:]
		for _, to := range edges[at] {
			if to == start {
				way := []int{at}
				for way[0] != start {
					way = append([]int{from[way[0]]}, way...)
				}
				return way
			}
			if _, seen := from[to]; !seen {
				from[to] = at
				next = append(next, to)
			}
		}
	}
	return nil
}
