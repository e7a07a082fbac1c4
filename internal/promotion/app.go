package promotion

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/boatlift/boatlift/internal/image"
)

// App is a set of images of an environment that move together, in one pull request.
type App struct {
	Name   string
	Images []image.Name // sorted
}

// Apps divides the images that an environment lists. Images that share a directory belong together, as do all images of a group that
// the configuration names; an image of a named group is bound by no directory.
func Apps(env Environment, listings []Listing) []App {
	var names []image.Name
	dirs := map[image.Name][]string{}
	for _, l := range listings {
		if l.Environment != env.Name {
			continue
		}
		if _, wanted := env.Rule(l.Image); !wanted {
			continue
		}
		if _, known := dirs[l.Image]; !known {
			names = append(names, l.Image)
		}
		dirs[l.Image] = append(dirs[l.Image], path.Dir(l.File))
	}
	slices.Sort(names)

	sets := newSets(names)
	first := map[string]image.Name{} // the first image seen for a directory or a group
	join := func(key string, name image.Name) {
		if other, ok := first[key]; ok {
			sets.join(other, name)
		} else {
			first[key] = name
		}
	}
	for _, name := range names {
		switch group := groupOf(env, name); {
		case env.GroupAll:
			join("all", name)
		case group >= 0:
			join("group "+strconv.Itoa(group), name)
		default:
			for _, dir := range dirs[name] {
				join("dir "+dir, name)
			}
		}
	}

	byRoot := map[image.Name][]image.Name{}
	var roots []image.Name
	for _, name := range names {
		root := sets.root(name)
		if _, seen := byRoot[root]; !seen {
			roots = append(roots, root)
		}
		byRoot[root] = append(byRoot[root], name)
	}
	apps := make([]App, 0, len(roots))
	for _, root := range roots {
		images := byRoot[root]
		apps = append(apps, App{Name: appName(env, images, dirs[images[0]]), Images: images})
	}
	return apps
}

// groupOf is the index of the named group that holds the image, or -1.
func groupOf(env Environment, name image.Name) int {
	return slices.IndexFunc(env.Groups, func(group []string) bool {
		return slices.ContainsFunc(group, func(member string) bool {
			return member == name.Base() || member == name.Repository() || member == string(name)
		})
	})
}

// appName is what people would call the images: their short names where they are few, else the directory they share.
func appName(env Environment, images []image.Name, dirs []string) string {
	if env.GroupAll && len(images) > 1 {
		return env.Name
	}
	if len(images) <= 3 {
		parts := make([]string, len(images))
		for i, name := range images {
			parts[i] = name.Base()
		}
		return strings.Join(parts, "+")
	}
	dir := strings.TrimPrefix(strings.TrimPrefix(dirs[0], env.Path), "/")
	if dir == "" || dir == "." {
		dir = path.Dir(images[0].Repository())
	}
	if dir == "" || dir == "." {
		dir = images[0].Base()
	}
	return dir
}

// sets is a union-find over image names.
type sets map[image.Name]image.Name

func newSets(names []image.Name) sets {
	s := sets{}
	for _, n := range names {
		s[n] = n
	}
	return s
}

func (s sets) root(n image.Name) image.Name {
	for s[n] != n {
		s[n] = s[s[n]]
		n = s[n]
	}
	return n
}

// join makes the smaller name the root, so that the outcome does not depend on order.
func (s sets) join(a, b image.Name) {
	a, b = s.root(a), s.root(b)
	if a > b {
		a, b = b, a
	}
	s[b] = a
}
