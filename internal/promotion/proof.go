package promotion

import (
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/image"
)

// Check is one name under `verify`: a status or a check run of the rolled-out commit, or what a test system says of its images.
type Check struct {
	Name string
	App  string // only what this App reports counts, by its slug; empty: anybody's
	User string // only what this account reports counts; empty: anybody's
}

// String is the name, with who has to say it. What was proved is remembered by it, so that another demand needs other proof.
func (c Check) String() string {
	switch {
	case c.App != "":
		return c.Name + " by " + c.App
	case c.User != "":
		return c.Name + " by " + c.User
	default:
		return c.Name
	}
}

// takes tells whether what somebody reports counts. Machines have names that end in [bot] where they set statuses, and not where they
// report checks.
func (c Check) takes(by string, bot bool) bool {
	switch {
	case c.App != "":
		return bot && strings.EqualFold(strings.TrimSuffix(by, "[bot]"), c.App)
	case c.User != "":
		return !bot && strings.EqualFold(by, c.User)
	default:
		return true
	}
}

// The states of what is reported, as package gate and policies know them.
const (
	Green       = "success"
	Red         = "failure"
	Pending     = "pending"
	NotReported = "not reported"
)

// Report is what the forge shows of a commit under a name.
type Report struct {
	Name  string
	State string // success, failure, pending, neutral or skipped
	By    string
	Bot   bool
	URL   string
	At    time.Time
}

// Verification is what a test system outside of the forge says of images: they passed or failed in an environment, at these digests.
type Verification struct {
	Environment string                      `json:"environment"`
	Name        string                      `json:"name"`
	Images      map[image.Name]image.Digest `json:"images"`
	Passed      bool                        `json:"passed"`
	URL         string                      `json:"url,omitempty"`
	Actor       string                      `json:"actor"`
	At          time.Time                   `json:"at"`
}

// Proof is how far one name under `verify` is proved of what an environment runs now.
type Proof struct {
	Check  string                `json:"check"`           // Check.String
	State  string                `json:"state,omitempty"` // of the rolled-out commit; empty where nobody whose word counts has reported
	By     string                `json:"by,omitempty"`
	URL    string                `json:"url,omitempty"`
	Images map[image.Name]string `json:"images,omitempty"` // what test systems say of images at the digests that run: success or failure
	URLs   map[image.Name]string `json:"urls,omitempty"`
}

// Prove finds out how far each name that an environment asks for is proved of what it runs, and remembers on the images what was. What
// was green once stays so while the image runs on at its digest, also at a later commit where nobody has reported yet, until somebody
// reports a failure. Of test systems only words count that are about images just as they run now.
func Prove(checks []Check, run *Running, reports []Report, verifications []Verification) {
	run.Proofs = nil
	for _, check := range checks {
		proof := onCommit(check, reports)
		said := map[image.Name]Verification{}
		for _, v := range verifications {
			if v.Environment != run.Environment || v.Name != check.Name || check.App != "" || check.User != "" || !runsAll(*run, v.Images) {
				continue
			}
			for name := range v.Images {
				if was, ok := said[name]; !ok || v.At.After(was.At) {
					said[name] = v
				}
			}
		}
		for name, v := range said {
			if proof.Images == nil {
				proof.Images, proof.URLs = map[image.Name]string{}, map[image.Name]string{}
			}
			proof.Images[name], proof.URLs[name] = Red, v.URL
			if v.Passed {
				proof.Images[name] = Green
			}
		}
		run.Proofs = append(run.Proofs, proof)
	}
	remember(run)
}

// onCommit is what the commit shows under a name: the worst of what all those say whose word counts.
func onCommit(check Check, reports []Report) Proof {
	proof := Proof{Check: check.String()}
	for _, r := range reports {
		if r.Name == check.Name && check.takes(r.By, r.Bot) && (proof.State == "" || rankOf(r.State) > rankOf(proof.State)) {
			proof.State, proof.By, proof.URL = r.State, r.By, r.URL
		}
	}
	return proof
}

// rankOf orders states by how much they stand in the way. A state that nobody knows stands most in the way.
func rankOf(state string) int {
	i := slices.Index([]string{Green, "neutral", "skipped", Pending, NotReported, Red}, state)
	if i < 0 {
		return nobodyKnows
	}
	return i
}

// nobodyKnows is the rank of a state that is none of those above.
const nobodyKnows = 6

// Worst is the state that stands most in the way; an empty one is no state.
func Worst(a, b string) string {
	if a == "" || b != "" && rankOf(b) > rankOf(a) {
		return b
	}
	return a
}

func runsAll(run Running, images map[image.Name]image.Digest) bool {
	for name, digest := range images {
		if got, ok := run.Images[name]; !ok || digest == "" || got.Digest != digest {
			return false
		}
	}
	return len(images) > 0
}

// remember writes on the images what is proved of them now, and forgets what is disproved or not asked for any more.
func remember(run *Running) {
	images := make(map[image.Name]RunningImage, len(run.Images))
	for name, i := range run.Images {
		var proved []string
		for _, p := range run.Proofs {
			if state, _ := p.Of(name, i); state == Green {
				proved = append(proved, p.Check)
			}
		}
		i.Proved = proved
		images[name] = i
	}
	if run.Images != nil {
		run.Images = images
	}
}

// Of is how far an image that runs is proved, and where that can be read. A failure outranks all; then anything green counts.
func (p Proof) Of(name image.Name, runs RunningImage) (state, url string) {
	said := p.Images[name]
	switch {
	case p.State == Red || p.State != "" && rankOf(p.State) == nobodyKnows:
		return p.State, p.URL
	case said == Red:
		return Red, p.URLs[name]
	case p.State == Green:
		return Green, p.URL
	case said == Green:
		return Green, p.URLs[name]
	case slices.Contains(runs.Proved, p.Check):
		return Green, ""
	case p.State != "":
		return p.State, p.URL
	default:
		return NotReported, ""
	}
}

// Unproved says of images that run which names are not green yet, and their worst state.
func (r Running) Unproved(names ...image.Name) (states, urls map[string]string) {
	states, urls = map[string]string{}, map[string]string{}
	for _, p := range r.Proofs {
		for _, name := range names {
			state, url := p.Of(name, r.Images[name])
			if was, ok := states[p.Check]; state == Green || ok && Worst(was, state) == was {
				continue
			}
			states[p.Check], urls[p.Check] = state, url
		}
	}
	return states, urls
}
