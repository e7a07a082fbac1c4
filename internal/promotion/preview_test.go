package promotion

import (
	"slices"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
)

// shown is a world of one repo with two environments that list one image.
func shown(t *testing.T, staging, live ImageRule) (World, image.Name) {
	t.Helper()
	const name = image.Name("registry.acme.io/shop/web")
	day := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	environment := func(env string, rule ImageRule) Environment {
		e := Environment{Name: env, Path: env, Mode: Propose, Pin: PinTagAndDigest}
		if !rule.Tags.IsZero() {
			e.Images = []ImageRule{rule}
		}
		return e
	}
	digest := func(n string) image.Digest { return image.Digest("sha256:" + n) }
	return World{
		Now: day, Config: Config{Environments: []Environment{environment("staging", staging), environment("live", live)}},
		Listings: []Listing{
			{Environment: "staging", File: "staging/k.yaml", Image: name, Tag: "1.5.0", Digest: digest("15")},
			{Environment: "live", File: "live/k.yaml", Image: name, Tag: "1.4.0", Digest: digest("14")},
		},
		FirstSeen: map[Listed]time.Time{{"staging", name}: day.Add(-time.Hour), {"live", name}: day.Add(-time.Hour)},
		Running:   map[string]Running{"live": {Images: map[image.Name]RunningImage{name: {Tag: "1.3.0"}}}},
		Tags:      map[image.Name][]Known{},
	}, name
}

func untimed(tags ...string) []image.Seen {
	var list []image.Seen
	for _, tag := range tags {
		list = append(list, image.Seen{Tag: tag})
	}
	return list
}

func ruleOf(t *testing.T, rule image.Rule, err error) ImageRule {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	pattern, err := image.ParsePattern("**")
	if err != nil {
		t.Fatal(err)
	}
	return ImageRule{Image: pattern, Tags: rule}
}

func TestTagsThatMatter(t *testing.T) {
	semver, err := image.Semver("<1.7.0")
	older := ruleOf(t, semver, err)
	follow, err := image.Follow("stable")
	stable := ruleOf(t, follow, err)
	regex, err := image.Regex(`main-.*`, image.Newest)
	newest := ruleOf(t, regex, err)
	all := untimed("1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0", "2.0.0", "3.0.0-rc.1", "main-1", "main-2", "stable")
	for i := range all { // main-1 came last
		all[i].First = time.Unix(int64(100-i), 0)
	}
	for name, c := range map[string]struct {
		staging, live      ImageRule
		matter, candidates []string
		byTime             bool
	}{
		"inferred":   {matter: []string{"1.3.0", "1.4.0", "1.5.0", "2.0.0"}, candidates: []string{"2.0.0"}},
		"two ranges": {live: older, matter: []string{"1.3.0", "1.4.0", "1.5.0", "1.6.0", "2.0.0"}, candidates: []string{"1.6.0", "2.0.0"}},
		"followed":   {staging: stable, live: stable, matter: []string{"1.3.0", "1.4.0", "1.5.0", "stable"}, candidates: []string{"stable"}},
		"by time":    {staging: newest, live: newest, matter: []string{"1.3.0", "1.4.0", "1.5.0", "main-1"}, candidates: []string{"1.4.0", "1.5.0", "main-1"}, byTime: true},
	} {
		t.Run(name, func(t *testing.T) {
			w, web := shown(t, c.staging, c.live)
			if got := Matter(w, web, all); !slices.Equal(got, c.matter) {
				t.Errorf("Matter = %v, want %v", got, c.matter)
			}
			if got := Candidates(w, web, all); !slices.Equal(got, c.candidates) {
				t.Errorf("Candidates = %v, want %v", got, c.candidates)
			}
			if ByTime(w, web) != c.byTime {
				t.Errorf("ByTime = %t", !c.byTime)
			}
			if got := Matter(w, "registry.acme.io/shop/other", all); len(got) != 0 {
				t.Errorf("of an image that nobody lists matter %v", got)
			}
		})
	}
	w, web := shown(t, ImageRule{}, ImageRule{})
	w.Promotions = []Promotion{{State: Open, Release: Release{Environment: "live", Changes: []Change{{Image: web, Tag: "1.2.0"}}}}}
	if got := Matter(w, web, all); !slices.Contains(got, "1.2.0") {
		t.Errorf("Matter = %v, and nothing of what is open", got)
	}
	if got := Allowed(w, web, []string{"1.9.0", "2.0.0-rc.1", "latest"}); !slices.Equal(got, []string{"1.9.0"}) {
		t.Errorf("Allowed = %v", got)
	}
	for i := range w.Config.Environments {
		w.Config.Environments[i].Mode = Off
	}
	if got := Matter(w, web, all); Wants(w, web) || !slices.Equal(got, []string{"1.2.0"}) {
		t.Errorf("where nothing is on matter %v", got)
	}
}

func TestMissed(t *testing.T) {
	w, web := shown(t, ImageRule{}, ImageRule{})
	for name, c := range map[string]struct {
		seen  image.Seen
		known []Known
		want  bool
	}{
		"newer than both":              {image.Seen{Tag: "1.6.0", Digest: "sha256:16"}, nil, true},
		"newer than one":               {image.Seen{Tag: "1.5.0", Digest: "sha256:15"}, nil, true},
		"older than both":              {image.Seen{Tag: "1.3.0", Digest: "sha256:13"}, nil, false},
		"a digest that was moved":      {image.Seen{Tag: "1.5.0", Digest: "sha256:55"}, nil, true},
		"not allowed":                  {image.Seen{Tag: "2.0.0-rc.1", Digest: "sha256:20"}, nil, false},
		"told of since":                {image.Seen{Tag: "1.6.0", Digest: "sha256:16"}, []Known{{Seen: image.Seen{Tag: "1.6.0", Digest: "sha256:16", First: w.Now}}}, false},
		"told of since, without where": {image.Seen{Tag: "1.6.0", Digest: "sha256:16"}, []Known{{Seen: image.Seen{Tag: "1.6.0", First: w.Now}}}, false},
		"told of at another digest":    {image.Seen{Tag: "1.6.0", Digest: "sha256:16"}, []Known{{Seen: image.Seen{Tag: "1.6.0", Digest: "sha256:6", First: w.Now}}}, true},
		"told of before":               {image.Seen{Tag: "1.6.0", Digest: "sha256:16"}, []Known{{Seen: image.Seen{Tag: "1.6.0", Digest: "sha256:16", First: w.Now.AddDate(0, -1, 0)}}}, true},
	} {
		w.Tags[web] = c.known
		if got := Missed(w, web, c.seen); got != c.want {
			t.Errorf("%s: Missed = %t", name, got)
		}
	}
}

func TestForeseen(t *testing.T) {
	w, web := shown(t, ImageRule{}, ImageRule{})
	if got := Foresee(w); len(got.Proposals)+len(got.Notes)+len(got.Asks) != 0 {
		t.Errorf("of nothing is foreseen %+v", got)
	}
	w.Tags[web] = []Known{{Seen: image.Seen{Tag: "1.6.0", First: w.Now}}}
	if got := Foresee(w); len(got.Asks) != 2 || len(got.Proposals) != 0 {
		t.Errorf("without a digest is foreseen %+v; want to be told first", got)
	}
	w.Tags[web][0].Digest = "sha256:16"
	w.Config.Environments[1].Mode = Observe
	got := Foresee(w)
	if len(got.Proposals) != 2 || got.Proposals[0].Not != "" || got.Proposals[0].Open || got.Proposals[1].Not != "mode: observe" {
		t.Errorf("foreseen is %+v", got)
	}
	w.Promotions = []Promotion{{State: Open, Release: got.Proposals[0].Release}}
	w.ReadOnly = "the repository is archived"
	if got := Foresee(w); !got.Proposals[0].Open || got.Proposals[0].Not != w.ReadOnly || got.Proposals[1].Open {
		t.Errorf("foreseen is %+v", got)
	}
	w.Rejections = []Rejection{{Environment: "live", Image: web, Digest: "sha256:16", Actor: "bob"}}
	if got := Foresee(w); len(got.Proposals) != 1 || len(got.Notes) != 1 || got.Notes[0].Say != "1.6.0 was rejected by bob" {
		t.Errorf("foreseen is %+v", got)
	}
	for i := range w.Config.Environments {
		w.Config.Environments[i].Mode = Off
	}
	if got := Foresee(w); len(got.Proposals)+len(got.Notes) != 0 {
		t.Errorf("where nothing is on is foreseen %+v", got)
	}
}
