package promotion

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
)

func TestAnImageWaitsForItsPlatforms(t *testing.T) {
	env := acceptance()
	env.Platforms = []string{"linux/amd64", "linux/arm64"}
	s := newSim(env, production())
	both(s, "1.1.0")
	w := s.world(s.repos[0])
	digests := map[image.Name]image.Digest{web: digestOf(web, "1.1.0", 1), worker: digestOf(worker, "1.1.0", 1)}

	d := Plan(w)
	if len(d.Asks) != 2 || d.Asks[0].Digest != digests[d.Asks[0].Image.Image] || len(d.Actions) != 0 {
		t.Fatalf("asks %+v, actions %v; want both digests asked for, and nothing done yet", d.Asks, d.Actions)
	}
	all := Built{Facts: image.Facts{Platforms: []string{"linux/amd64", "linux/arm64/v8", "linux/s390x"}}}
	for name, c := range map[string]struct {
		web   Built
		opens bool
		says  string
	}{
		"built for all":           {all, true, ""},
		"built for one":           {Built{Facts: image.Facts{Platforms: []string{"linux/amd64"}}}, false, "1.1.0 is not built for linux/arm64, only for linux/amd64"},
		"does not say":            {Built{}, false, "1.1.0 is not built for linux/amd64 and linux/arm64"},
		"the registry is silent":  {Built{Problem: "HTTP 503", RetryAt: s.now.Add(time.Minute)}, false, "for which platforms 1.1.0 is built is not known: HTTP 503"},
		"it may be asked again":   {Built{Problem: "HTTP 503", RetryAt: s.now}, false, ""},
		"only with other systems": {Built{Facts: image.Facts{Platforms: []string{"windows/amd64", "linux/arm64"}}}, false, "not built for linux/amd64"},
	} {
		w.Built = map[image.Digest]Built{digests[web]: c.web, digests[worker]: all}
		d := Plan(w)
		if got := len(actions[OpenPull](d)) == 1; got != c.opens || !strings.Contains(notesText(d.Notes), c.says) {
			t.Errorf("%s: opens %v, notes %q; want %v, %q", name, got, notesText(d.Notes), c.opens, c.says)
		}
		if asks := len(d.Asks) == 1; asks != (name == "it may be asked again") {
			t.Errorf("%s: asks %+v", name, d.Asks)
		}
		if name == "the registry is silent" && !d.Wake.Equal(c.web.RetryAt) {
			t.Errorf("it is looked at again at %v; want %v", d.Wake, c.web.RetryAt)
		}
	}
}

func TestPlatformsAreOnlyAskedForWhatMoves(t *testing.T) {
	env := acceptance()
	env.Platforms = []string{"linux/amd64"}
	s := newSim(env, production())
	s.push(web, "0.9.0", 1) // older than what runs
	if d := Plan(s.world(s.repos[0])); len(d.Asks) != 0 {
		t.Errorf("asks %+v; want none, as nothing would move", d.Asks)
	}
}

// TestAnOpenReleaseWaitsForPlatformsThatAreDemandedLater demands platforms of an environment that has a release open.
func TestAnOpenReleaseWaitsForPlatformsThatAreDemandedLater(t *testing.T) {
	s := newSim(acceptance(), production())
	both(s, "1.1.0")
	s.rest()
	w := s.world(s.repos[0])
	if n := len(w.Promotions); n != 1 || w.Promotions[0].State != Open || w.Promotions[0].Gate == nil || w.Promotions[0].Gate.State != gate.Allow {
		t.Fatalf("promotions %+v; want one that is open, and green", w.Promotions)
	}
	w.Config.Environments = slices.Clone(w.Config.Environments)
	w.Config.Environments[0].Platforms = []string{"linux/amd64", "linux/arm64"}
	digests := map[image.Name]image.Digest{web: digestOf(web, "1.1.0", 1), worker: digestOf(worker, "1.1.0", 1)}

	asked := map[image.Digest]bool{}
	for _, a := range Plan(w).Asks {
		asked[a.Digest] = true
	}
	if !asked[digests[web]] || !asked[digests[worker]] {
		t.Fatalf("asks for %v; want both digests of the release", asked)
	}
	all, one := Built{Facts: image.Facts{Platforms: []string{"linux/amd64", "linux/arm64"}}}, Built{Facts: image.Facts{Platforms: []string{"linux/amd64"}}}
	for name, c := range map[string]struct {
		web  Built
		want gate.State
		says string
	}{
		"built for all":          {all, gate.Allow, ""},
		"built for one":          {one, gate.Wait, "web: 1.1.0 is not built for linux/arm64, only for linux/amd64"},
		"the registry is silent": {Built{Problem: "HTTP 503", RetryAt: s.now.Add(time.Minute)}, gate.Wait, "web: for which platforms 1.1.0 is built is not known: HTTP 503"},
	} {
		w.Built = map[image.Digest]Built{digests[web]: c.web, digests[worker]: all}
		d := Plan(w)
		if len(d.Asks) != 0 {
			t.Fatalf("%s: asks %+v", name, d.Asks)
		}
		shown := gate.Verdict{State: gate.Allow}
		for _, a := range actions[ShowGate](d) {
			shown = a.Verdict
		}
		says := ""
		for _, r := range shown.Rulings {
			if r.Policy == "platforms" {
				says = r.Say
			}
		}
		if shown.State != c.want || says != c.says {
			t.Errorf("%s: the gate is %s, %q; want %s, %q", name, shown.State, says, c.want, c.says)
		}
		if merges := len(actions[Merge](d)); merges > 0 && c.want != gate.Allow {
			t.Errorf("%s: it is merged", name)
		}
	}
}
