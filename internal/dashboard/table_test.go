package dashboard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/image"
)

// environments makes repos with an environment each, from "name after,after: image image".
func environments(specs ...string) (repos []Repo) {
	for _, spec := range specs {
		head, images, _ := strings.Cut(spec, ":")
		name, after, _ := strings.Cut(head, " ")
		env := Environment{Name: name}
		for _, a := range strings.FieldsFunc(after, func(r rune) bool { return r == ',' }) {
			env.After = append(env.After, "acme/infra-"+a+":"+a)
		}
		for _, n := range strings.Fields(images) {
			env.Images = append(env.Images, Image{Name: image.Name("r.acme.io/shop/" + n), Tag: "1.0.0"})
		}
		repos = append(repos, Repo{Name: "acme/infra-" + name, Environments: []Environment{env}})
	}
	return repos
}

func TestTablesShowEnvironmentsInTheOrderOfTheirChain(t *testing.T) {
	for want, repos := range map[string][]Repo{
		"dev acceptance canary production: web+worker": environments("acceptance dev:web worker", "canary acceptance:web worker", "dev:web worker", "production canary:web worker"),
		"acceptance apac eu us: web":                   environments("acceptance:web", "apac acceptance:web", "eu acceptance:web", "us acceptance:web"),
		"a c b: web":                                   environments("a:web", "b a,c:web", "c a:web"),
		"one: web | two: worker":                       environments("one:web", "two:worker"),
		"one two: web":                                 environments("one:web", "two:web"), // the same image
		"acceptance production: web, worker":           environments("acceptance:web", "production acceptance:web worker"),
		"a b: web":                                     environments("a b:web", "b a:web"), // a circle
		"production: web":                              environments("production nowhere:web"),
		"":                                             environments("nothing:"),
		"acceptance production: web | blog-one: blog": environments("acceptance:web", "blog-one:blog", "production acceptance:web"),
	} {
		var got []string
		for _, table := range tables(repos) {
			var columns, rows []string
			for _, c := range table.Environments {
				columns = append(columns, c.Name)
			}
			for _, row := range table.Apps {
				var names []string
				for _, n := range row.Images {
					names = append(names, n.Base())
				}
				rows = append(rows, strings.Join(names, "+"))
				if len(row.Cells) != len(columns) {
					t.Errorf("%d cells for %d environments", len(row.Cells), len(columns))
				}
			}
			got = append(got, strings.Join(columns, " ")+": "+strings.Join(rows, ", "))
		}
		if text := strings.Join(got, " | "); text != want {
			t.Errorf("the tables are %q, want %q", text, want)
		}
	}
}

func TestAReferenceToTheSameRepositoryIsTold(t *testing.T) {
	repo := Repo{Name: "acme/infra"}
	for i, name := range []string{"acceptance", "production"} {
		env := Environment{Name: name, Images: []Image{{Name: "r.acme.io/shop/web", Tag: fmt.Sprint(i)}}}
		if i > 0 {
			env.After = []string{"acceptance"}
		}
		repo.Environments = append([]Environment{env}, repo.Environments...)
	}
	got := tables([]Repo{repo})
	if len(got) != 1 || got[0].Environments[0].Name != "acceptance" || got[0].Environments[1].After[0] != "acme/infra:acceptance" {
		t.Errorf("tables %+v", got)
	}
}
