package config

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// What an environment is where the file does not say it.
const (
	defaultSettle  = 60 * time.Second
	defaultMaxOpen = 10
	defaultTimeout = time.Hour
)

const (
	maxSettle       = 24 * time.Hour
	maxMaxOpen      = 1000
	maxDeployment   = 255 // what GitHub takes
	maxEnvironments = 200
	maxWorkflow     = 100
	maxCheck        = 200
	maxChecks       = 50
	minTimeout      = time.Minute
	maxTimeout      = 7 * 24 * time.Hour
)

// ParseRepo reads the .boatlift.yaml of an infra repo. Every default is filled in. The error is an *Errors with all problems; file is
// the name that they carry. The policies are checked by checker unless it is nil, and the whole is held against what the
// organisation requires; the required policies are not added to those of the file.
func ParseRepo(file string, text []byte, checker PolicyChecker, require Require) (promotion.Config, error) {
	found := &problems{file: file}
	root := parse(text, found)
	switch {
	case len(found.all) > 0:
		return promotion.Config{}, found.err()
	case root == nil || root.kind == nothing:
		found.add(place{1, 1}, "the file says nothing", "write "+repoExample)
		return promotion.Config{}, found.err()
	}
	var shape repoFile
	decode(root, &shape, repoExample, found, false)
	r := repoCheck{problems: found, checker: checker, require: require}
	cfg := r.config(shape)
	if err := found.err(); err != nil {
		return promotion.Config{}, err
	}
	return cfg, nil
}

const repoExample = "at least environments: [{name: production, rollout: {deployment: production}}]"

// repoCheck makes a Config of the shape of a file, and notes what cannot be.
type repoCheck struct {
	*problems
	checker PolicyChecker
	require Require
}

func (r *repoCheck) config(file repoFile) promotion.Config {
	if len(file.Environments) == 0 {
		if len(r.all) == 0 {
			r.add(file, "there are no environments", "write "+repoExample)
		}
		return promotion.Config{}
	}
	if len(file.Environments) > maxEnvironments {
		r.add(file.Environments[maxEnvironments], fmt.Sprintf("there are more than %d environments", maxEnvironments), "divide them among several repositories")
		return promotion.Config{}
	}
	var cfg promotion.Config
	for _, e := range file.Environments {
		cfg.Environments = append(cfg.Environments, r.environment(e))
	}
	r.names(file.Environments)
	r.overlaps(file.Environments, cfg.Environments)
	r.order(file.Environments, cfg.Environments)
	return cfg
}

func (r *repoCheck) environment(e environment) promotion.Environment {
	env := promotion.Environment{
		Name:     e.name(""),
		Path:     r.path(e.Path),
		After:    r.after(e),
		Rollout:  r.rollout(e.Rollout),
		Verify:   r.verify(e),
		Policies: r.uses(e.Policies, r.checker),
		Pin:      promotion.Pin(e.Pin.or(string(promotion.PinTagAndDigest))),
		Merge:    promotion.MergeMode(e.Merge.or(string(promotion.MergeManual))),
		GroupAll: e.Group.all,
		Groups:   r.groups(e.Group),
		Together: e.Together.value,
		Settle:   defaultSettle,
		Mode:     promotion.Mode(e.Mode.or(string(promotion.Propose))),
		MaxOpen:  defaultMaxOpen,

		Platforms: r.platforms(e),
	}
	env.Images = r.images(e, env.Pin)
	env.MergeMethod = e.MergeMethod.value
	env.Reviewers = r.reviewers(e.Reviewers)
	if env.EarlierApprovals = e.EarlierApprovals.value; e.EarlierApprovals.set && env.Merge != promotion.MergeApproved {
		r.add(e.EarlierApprovals, "earlierApprovals belongs to merge: approved, and this is merge: "+string(env.Merge), "write merge: approved, or leave it out")
	}
	if e.Settle.set {
		env.Settle = e.Settle.value
		switch {
		case e.Together.value:
			r.add(e.Settle, "settle says how long to wait for the other images, and together that there is no end to it", "leave one of the two out")
		case env.Settle > maxSettle:
			r.add(e.Settle, "settle is longer than a day", "write a time in which the images of one build are pushed, as settle: 5m; to wait until all are there, together: true")
		}
	}
	if e.MaxOpen.set {
		if e.MaxOpen.value > maxMaxOpen {
			r.add(e.MaxOpen, fmt.Sprintf("maxOpen is more than %d", maxMaxOpen), "write maxOpen: 0 for no limit")
		}
		env.MaxOpen = int(e.MaxOpen.value)
	}
	r.require.check(r.problems, e, env.Merge, env.Pin)
	return env
}

var (
	userPattern = regexp.MustCompile(`^@?[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9_])?$`)
	teamPattern = regexp.MustCompile(`^@?[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9._-]{1,200})+$`)
)

// reviewers reads who is asked for reviews.
func (r *repoCheck) reviewers(file *reviewers) promotion.Reviewers {
	var asked promotion.Reviewers
	if file == nil {
		return asked
	}
	const right = "write reviewers: {users: [alice], teams: [acme/ops]}"
	if file.empty() {
		r.add(file, "reviewers is empty", right+", or leave it out")
	}
	for _, u := range file.Users {
		switch {
		case !u.set:
		case !userPattern.MatchString(u.value):
			r.add(u, shown(u.value)+" is no user's name", right)
		default:
			asked.Users = append(asked.Users, strings.TrimPrefix(u.value, "@"))
		}
	}
	for _, t := range file.Teams {
		switch {
		case !t.set:
		case !teamPattern.MatchString(t.value):
			r.add(t, shown(t.value)+" is no team: one is written with its organisation", right)
		default:
			asked.Teams = append(asked.Teams, strings.TrimPrefix(t.value, "@"))
		}
	}
	return asked
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

const maxName = 63

// name is the environment's name where it can be one, and another word where not.
func (e environment) name(other string) string {
	if name := e.Name.value; len(name) <= maxName && namePattern.MatchString(name) {
		return name
	}
	return other
}

// names checks that environments can be told apart, also where case does not count.
func (r *repoCheck) names(environments []environment) {
	first := map[string]environment{}
	for _, e := range environments {
		name := e.Name.value
		if !e.Name.set {
			continue
		}
		if e.name("") == "" {
			r.add(e.Name, "the name "+shown(name)+" cannot be that of an environment", "write at most 63 letters, digits, and . _ - between them")
			continue
		}
		key := strings.ToLower(name)
		if before, twice := first[key]; twice {
			r.add(e.Name, fmt.Sprintf("another environment is called %s, in line %d", before.Name.value, before.Name.line), "give each its own name")
			continue
		}
		first[key] = e
	}
}

func (r *repoCheck) path(t text) string {
	p := t.value
	if !t.set || p == "." {
		return ""
	}
	const right = "write a folder from the top of the repository, as path: overlays/production"
	clean := path.Clean(strings.ReplaceAll(p, `\`, "/"))
	switch {
	case !printable(p):
		r.add(t, "the path has characters that cannot be seen", right)
	case strings.HasPrefix(p, "/"), strings.HasPrefix(p, "~"), len(p) > 1 && p[1] == ':':
		r.add(t, "the path must begin at the top of the repository", right)
	case clean == ".." || strings.HasPrefix(clean, "../"):
		r.add(t, "the path leads out of the repository", right)
	case strings.ContainsAny(p, "*?["):
		r.add(t, "the path is a pattern", "write one folder; everything below it belongs to the environment")
	case slices.Contains(strings.Split(clean, "/"), ".git"):
		r.add(t, "the path leads into .git", right)
	case clean != p:
		if clean == "." {
			r.add(t, "the path "+shown(p)+" is not in its shortest form", "leave it out for the whole repository")
			break
		}
		r.add(t, "the path "+shown(p)+" is not in its shortest form", "write path: "+clean)
	default:
		return p
	}
	return clean
}

// overlaps checks that no file belongs to two environments.
func (r *repoCheck) overlaps(shapes []environment, environments []promotion.Environment) {
	subtree := func(e promotion.Environment) string {
		if e.Path == "" {
			return "the whole repository"
		}
		return e.Path
	}
	mapped := make([]bool, len(shapes)) // whose path is known
	for i, s := range shapes {
		mapped[i] = s.name("") != "" && (s.Path.set || !s.given["path"])
	}
	for i, e := range environments {
		if !mapped[i] {
			continue
		}
		for j, other := range environments[:i] {
			if !mapped[j] || !e.Contains(other.Path) && !other.Contains(e.Path) && e.Path != "" && other.Path != "" {
				continue
			}
			var where placed = shapes[i].Path
			if !shapes[i].Path.set {
				where = shapes[i]
			}
			r.add(where, fmt.Sprintf("the environments %s (%s, in line %d) and %s (%s) overlap", other.Name, subtree(other), shapes[j].line, e.Name, subtree(e)),
				"give each a path of its own, none inside of another")
			break
		}
	}
}

func (r *repoCheck) rollout(o *rollout) promotion.Rollout {
	if o == nil {
		return promotion.Rollout{}
	}
	const right = "write rollout: {deployment: production}, with the name of the deployment at the forge, or {workflow: apply.yml}, or {merge: true}"
	given := 0
	for _, set := range []bool{o.Deployment.line > 0, o.Workflow.line > 0, o.Merge.line > 0} {
		if set {
			given++
		}
	}
	timeout := defaultTimeout
	if o.Timeout.set {
		timeout = o.Timeout.value
	}
	if o.Merge.set {
		timeout = 0
	}
	file := o.Workflow.value
	switch {
	case o.empty():
		r.add(o, "rollout is empty", right)
	case given == 0 && o.Timeout.line > 0:
		r.add(o, "rollout names no kind of evidence", right)
	case given > 1:
		r.add(o, "rollout must name one kind of evidence, and names "+fmt.Sprint(given), right)
	case o.Workflow.set && strings.Contains(file, "/"):
		r.add(o.Workflow, "the workflow is named by its file alone", "write workflow: "+shownFile(path.Base(file)))
	case o.Workflow.set && (len(file) > maxWorkflow || !workflowPattern.MatchString(file)):
		r.add(o.Workflow, shown(file)+" is no workflow's file", "write the name of a file in .github/workflows, as workflow: apply.yml")
	case o.Merge.set && !o.Merge.value:
		r.add(o.Merge, "merge can only be true here", "leave rollout out where nothing tells how it went; it then counts as unknown")
	case o.Merge.set && o.Timeout.set:
		r.add(o.Timeout, "a merge is a rollout at once, so there is nothing to wait for", "leave timeout out")
	case o.Timeout.set && (timeout < minTimeout || timeout > maxTimeout):
		r.add(o.Timeout, "timeout must be between a minute and a week", "write timeout: 1h, a time in which a rollout ends or tells something")
	case o.Deployment.set && (len(o.Deployment.value) > maxDeployment || !printable(o.Deployment.value) || strings.TrimSpace(o.Deployment.value) != o.Deployment.value):
		r.add(o.Deployment, "this cannot be the name of a deployment", right)
	}
	return promotion.Rollout{Deployment: o.Deployment.value, Workflow: o.Workflow.value, Merge: o.Merge.value, Timeout: timeout}
}

var workflowPattern = regexp.MustCompile(`^[A-Za-z0-9._-]+\.ya?ml$`)

// shownFile is a file's name if it can be that of a workflow, and an example where not.
func shownFile(name string) string {
	if len(name) <= maxWorkflow && workflowPattern.MatchString(name) {
		return name
	}
	return "apply.yml"
}

const verifyRight = "write verify: [smoke], or [{name: smoke, app: github-actions}] where only that App's word counts"

// verify reads what must be green on what was rolled out.
func (r *repoCheck) verify(e environment) []promotion.Check {
	var checks []promotion.Check
	first := map[string]int{}
	for _, c := range e.Verify {
		check := promotion.Check{Name: c.Name.value, App: strings.TrimSuffix(c.App.value, "[bot]"), User: c.User.value}
		line, twice := first[check.Name]
		switch {
		case !c.set:
			continue
		case len(check.Name) > maxCheck || !printable(check.Name) || strings.TrimSpace(check.Name) != check.Name:
			r.add(c, "this cannot be the name of a status or a check", verifyRight)
		case check.Name == gateCheck:
			r.add(c, "the gate of Boatlift is shown on pull requests, and verifies nothing that runs", "name the check or status of your tests")
		case twice:
			r.add(c, fmt.Sprintf("%s is named already, in line %d", shown(check.Name), line), "write it once")
		case c.App.set && c.User.set:
			r.add(c.User, "app and user exclude each other: a name is reported by an App or by an account", "leave one of the two out")
		case c.App.set && !accountPattern.MatchString(check.App):
			r.add(c.App, shown(c.App.value)+" is no App's short name", "write it as its address has it, as app: github-actions")
		case c.User.set && !accountPattern.MatchString(check.User):
			r.add(c.User, shown(c.User.value)+" is no account's name", "write user: ci-acme")
		}
		first[check.Name] = c.line
		checks = append(checks, check)
	}
	switch {
	case len(checks) > maxChecks:
		r.add(e.Verify[maxChecks], fmt.Sprintf("verify names more than %d checks", maxChecks), "let one check or status tell of many tests")
	case len(checks) > 0 && (e.Rollout == nil || e.Rollout.empty()):
		r.add(e.Verify[0], "nothing can be verified where it is not known what was rolled out", "add rollout: {deployment: "+e.name("production")+"} to the environment, or {workflow: apply.yml}, or {merge: true}")
	}
	return checks
}

// gateCheck is the bot's own check.
const gateCheck = "boatlift/gate"

var accountPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,98}[A-Za-z0-9])?$`)

// images reads the rules, the most specific first: the first that matches counts.
func (r *repoCheck) images(e environment, pin promotion.Pin) []promotion.ImageRule {
	if e.given["images"] && len(e.Images) == 0 && len(r.all) == 0 {
		r.add(e, "images is empty, which could mean all or none", "leave it out for every image that the kustomizations list; for none write mode: off")
	}
	var rules []promotion.ImageRule
	first := map[string]int{}
	for _, i := range e.Images {
		if !i.Image.set {
			continue
		}
		if host := i.Image.value; strings.ContainsAny(host, ".") && !strings.ContainsAny(host, "/*:@") {
			r.add(i.Image, shown(host)+" is a registry's host, or an image of Docker Hub", "write "+host+"/** for all images of the registry, or docker.io/library/"+host)
			continue
		}
		pattern, err := image.ParsePattern(i.Image.value)
		if err != nil {
			r.wrong(i.Image, err)
			continue
		}
		if line, twice := first[pattern.String()]; twice {
			r.add(i.Image, fmt.Sprintf("the same images have a rule in line %d", line), "write one rule for them")
		}
		first[pattern.String()] = i.Image.line
		rules = append(rules, promotion.ImageRule{Image: pattern, Tags: r.tags(i.Tags, pin)})
	}
	slices.SortStableFunc(rules, func(a, b promotion.ImageRule) int { return image.ComparePatterns(a.Image, b.Image) })
	return rules
}

func (r *repoCheck) tags(t *tags, pin promotion.Pin) image.Rule {
	if t == nil {
		return image.Rule{}
	}
	const right = "write tags: {semver: \">=1.0.0\"}, or {regex: …, order: numeric}, or {follow: stable}"
	given := 0
	for _, one := range []text{t.Semver, t.Regex, t.Follow} {
		if one.line > 0 {
			given++
		}
	}
	var rule image.Rule
	var err error
	where := t.Semver
	switch {
	case given > 1:
		r.add(t, "tags must be one rule, and is several", right)
		return rule
	case given == 0 && t.Order.line > 0:
		r.add(t.Order, "order ranks the tags that a regex matches, and there is none", "write {regex: 'build-(\\d+)', order: numeric}")
		return rule
	case t.empty():
		r.add(t, "tags is empty", right+", or leave it out")
		return rule
	case t.Order.line > 0 && t.Regex.line == 0:
		r.add(t.Order, "order belongs to regex", "leave it out; a semver rule ranks by version, and a followed tag has no order")
		return rule
	case t.Semver.set:
		rule, err = image.Semver(t.Semver.value)
	case t.Regex.set:
		where = t.Regex
		if t.Order.line > 0 && !t.Order.set {
			return rule // which has been said
		}
		rule, err = image.Regex(t.Regex.value, image.Order(t.Order.value))
	case t.Follow.set:
		where = t.Follow
		rule, err = image.Follow(t.Follow.value)
		if err == nil && pin == promotion.PinTag {
			r.add(where, "a moving tag is followed by its digest, and pin: tag would never write one", "write pin: tag+digest")
		}
	}
	if err != nil {
		r.wrong(where, err)
	}
	return rule
}

// wrong notes an error of package image.
func (p *problems) wrong(where placed, err error) {
	right := ""
	if hint, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		right = hint.Hint()
	}
	p.add(where, err.Error(), right)
}

var memberPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9._:/-]*[a-z0-9])?$`)

// groups reads the lists of images that move together.
func (r *repoCheck) groups(g group) [][]string {
	var groups [][]string
	first := map[string]int{}
	for _, members := range g.groups {
		var names []string
		for _, m := range members {
			if !m.set {
				continue
			}
			name := strings.ToLower(m.value)
			if host, _, ok := strings.Cut(name, "/"); ok && (strings.ContainsAny(host, ".:") || host == "localhost") {
				if full, err := image.ParseName(name); err == nil {
					name = string(full)
				}
			}
			_, err := image.ParseName(name)
			switch line, twice := first[name]; {
			case err != nil || !memberPattern.MatchString(name):
				r.add(m, shown(m.value)+" is no image's name", "write its last element or all of it, without a tag: web, shop/web or registry.acme.io/shop/web")
			case twice:
				r.add(m, fmt.Sprintf("the image is in a group already, in line %d", line), "write it once")
			default:
				first[name] = m.line
				names = append(names, name)
			}
		}
		groups = append(groups, names)
	}
	if g.set && !g.all && len(groups) == 0 && len(r.all) == 0 {
		r.add(g, "group is empty", groupRight)
	}
	return groups
}
