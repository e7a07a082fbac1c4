package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	gl "github.com/xanzy/go-gitlab"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// settings are those of a project that decide what holds a merge. What the GitLab's tier does not have it leaves out.
type settings struct {
	StatusChecks *bool `json:"only_allow_merge_if_all_status_checks_passed"` // nil: there are no external status checks
	Approvals    *int  `json:"approvals_before_merge"`                       // nil: Free
	Pipelines    bool  `json:"only_allow_merge_if_pipeline_succeeds"`
	Trains       bool  `json:"merge_trains_enabled"`
	Namespace    struct {
		Kind string `json:"kind"`
		Path string `json:"full_path"`
	} `json:"namespace"`
}

// guard is what is known of the rules that hold for a branch.
type guard struct {
	protected  bool
	developers struct{ push, merge bool } // they may
	// rules are those that name the branch; detailed tells that they could be read, which takes a Maintainer.
	rules    []*gl.ProtectedBranch
	detailed bool
	others   []*gl.ProtectedBranch // all other rules
}

// inspected is what InspectRepository works on.
type inspected struct {
	*Forge
	repo   forge.Repository
	wanted forge.Wanted
	self   identity
	level  gl.AccessLevelValue // the bot's role
	set    settings
	guard  guard
	tell   func(say, fix string)
}

// InspectRepository implements forge.Inspector. What only a Maintainer is shown is a finding where the bot is none.
func (f *Forge) InspectRepository(ctx context.Context, repo forge.Repository, wanted forge.Wanted, tell func(forge.Finding)) error {
	p := inspected{Forge: f, repo: repo, wanted: wanted, tell: func(say, fix string) { tell(forge.Finding{About: repo.FullName, Say: say, Fix: fix}) }}
	if repo.Archived {
		p.tell("it is archived: the bot only reads it", "")
		return ctx.Err()
	}
	if err := p.read(ctx); err != nil {
		tell(trouble(repo.FullName, err))
		return ctx.Err()
	}
	p.judgeRole()
	p.judgeProtection()
	p.judgeEnforcement(ctx)
	p.inspectHooks(ctx)
	return ctx.Err()
}

func (p *inspected) path(rest string) string { return fmt.Sprintf("projects/%d%s", p.repo.ID, rest) }

func (p *inspected) read(ctx context.Context) (err error) {
	if p.self, err = p.whoami(ctx, "read the bot's own account"); err != nil {
		return err
	}
	member, _, err := p.api.ProjectMembers.GetInheritedProjectMember(int(p.repo.ID), int(p.self.id), with(ctx)...)
	if err != nil {
		return p.about(p.repo, "read the bot's role", err)
	}
	p.level = member.AccessLevel
	if _, err := p.ask(ctx, "read the settings of "+p.repo.FullName, p.path(""), nil, &p.set); err != nil {
		return err
	}
	branch, _, err := p.api.Branches.GetBranch(int(p.repo.ID), p.repo.DefaultBranch, with(ctx)...)
	if err != nil {
		return p.about(p.repo, "read the branch "+wire.Clean(p.repo.DefaultBranch, 100), err)
	}
	p.guard.protected, p.guard.developers.push, p.guard.developers.merge = branch.Protected, branch.DevelopersCanPush, branch.DevelopersCanMerge
	rules, err := pages(func(page int, _ string) ([]*gl.ProtectedBranch, *gl.Response, error) {
		return p.api.ProtectedBranches.ListProtectedBranches(int(p.repo.ID), &gl.ListProtectedBranchesOptions{ListOptions: gl.ListOptions{Page: page, PerPage: pageSize}}, with(ctx)...)
	})
	switch err = p.about(p.repo, "read the protected branches", err); {
	case errors.Is(err, forge.ErrForbidden), errors.Is(err, forge.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	p.guard.detailed = true
	for _, rule := range rules {
		if covers(rule.Name, p.repo.DefaultBranch) {
			p.guard.rules = append(p.guard.rules, rule)
		} else {
			p.guard.others = append(p.guard.others, rule)
		}
	}
	return nil
}

// covers tells whether a protected branch's name, in which * is any characters, means a branch.
func covers(pattern, branch string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == branch
	}
	if !strings.HasPrefix(branch, first) {
		return false
	}
	for i := len(first); i <= len(branch); i++ {
		if covers(rest, branch[i:]) {
			return true
		}
	}
	return false
}

// judgeRole tells where the bot has more than it needs. Where it has less than Developer, it does not work at all.
func (p *inspected) judgeRole() {
	needs := gl.DeveloperPermissions
	if p.wanted.Merges && p.guard.protected && !p.guard.developers.merge && !p.named() {
		needs = gl.MaintainerPermissions
	}
	switch {
	case p.level >= gl.OwnerPermissions:
		p.tell("the bot is an Owner, and may delete the project", "give its account the role "+roleName(needs))
	case p.level >= gl.MaintainerPermissions && needs == gl.DeveloperPermissions:
		p.tell("the bot is a Maintainer, and may change what holds it", "give its account the role Developer: it merges nothing here that takes more")
	default:
		p.tell("the bot is a "+roleName(p.level), "")
	}
}

// named tells whether the bot itself is named among those who merge, so that its role does not matter.
func (p *inspected) named() bool {
	return slices.ContainsFunc(p.guard.rules, func(rule *gl.ProtectedBranch) bool {
		return slices.ContainsFunc(rule.MergeAccessLevels, func(a *gl.BranchAccessDescription) bool { return int64(a.UserID) == p.self.id })
	})
}

func roleName(level gl.AccessLevelValue) string {
	switch {
	case level >= gl.OwnerPermissions:
		return "Owner"
	case level >= gl.MaintainerPermissions:
		return "Maintainer"
	}
	return "Developer"
}

// who is for whom a list of a rule opens a branch.
type who struct {
	bot, developers, maintainers bool // by name or by role
	others                       bool // people, groups or keys by name
}

func (p *inspected) opens(list []*gl.BranchAccessDescription) (w who) {
	for _, a := range list {
		switch {
		case a.UserID != 0 && int64(a.UserID) == p.self.id:
			w.bot = true
		case a.UserID != 0 || a.GroupID != 0 || a.DeployKeyID != 0:
			w.others = true
		case a.AccessLevel == gl.NoPermissions || a.AccessLevel > gl.OwnerPermissions: // nobody, or administrators
		default:
			w.maintainers = true
			w.developers = w.developers || a.AccessLevel <= gl.DeveloperPermissions
			w.bot = w.bot || p.level >= a.AccessLevel
		}
	}
	return w
}

func (w who) and(o who) who {
	return who{w.bot || o.bot, w.developers || o.developers, w.maintainers || o.maintainers, w.others || o.others}
}

// opened is for whom the branch is open: a merge where any of its rules allows it.
func (p *inspected) opened() (push, merge who) {
	for _, rule := range p.guard.rules {
		push, merge = push.and(p.opens(rule.PushAccessLevels)), merge.and(p.opens(rule.MergeAccessLevels))
	}
	if !p.guard.detailed {
		push = who{developers: p.guard.developers.push, maintainers: true}
		merge = who{developers: p.guard.developers.merge, maintainers: true}
		merge.bot = merge.developers || p.level >= gl.MaintainerPermissions
	}
	return push, merge
}

const (
	settingsOfBranches = "in the project's settings (Repository, Protected branches)"
	settingsOfMerges   = "in the project's settings (Merge requests)"
)

// judgeProtection tells who goes past every gate with a push, and what keeps the bot from its work.
func (p *inspected) judgeProtection() {
	branch := wire.Clean(p.repo.DefaultBranch, 100)
	push, merge := p.opened()
	switch {
	case !p.guard.protected:
		p.tell(branch+" is not protected: any Developer may push to it, past the gate", "protect it "+settingsOfBranches+": nobody pushes and merges, and "+p.mergers())
	case push.developers:
		p.tell("any Developer may push to "+branch+", past the gate", "let nobody push and merge to it "+settingsOfBranches)
	}
	if p.wanted.Merges && p.guard.protected && !merge.bot {
		say, fix := "the bot is to merge here (merge: auto or approved), and may not merge into "+branch, "let it "+settingsOfBranches+": "+p.mergers()+"; or write merge: manual"
		if !p.guard.detailed && p.set.Approvals != nil { // it cannot be told, and may be right
			say, fix = "the bot is to merge here (merge: auto or approved), for which its account has to be named among those who merge into "+branch+": that is shown to Maintainers only", ""
		}
		p.tell(say, fix)
	}
	if p.wanted.Merges && p.set.Trains {
		p.tell("the bot is to merge here, and the project has merge trains, which it does not drive", "write merge: manual, or turn merge trains off "+settingsOfMerges)
	}
	if p.wanted.Merges || !p.guard.protected || !p.guard.detailed || merge.developers || merge.maintainers || merge.others || !merge.bot {
		return
	}
	p.tell("only the bot may merge into "+branch+", and is to leave that to people (merge: manual): nobody merges", "write merge: approved or auto in .boatlift.yaml, or let people merge "+settingsOfBranches)
}

// mergers is who should be let merge, where nothing but that holds the gate.
func (p *inspected) mergers() string {
	switch {
	case p.set.StatusChecks != nil:
		return "Developers merge, whom the status check holds"
	case p.set.Approvals != nil:
		return "the bot's account alone merges"
	}
	return "Maintainers merge, of whom the bot is one"
}

// judgeBranches looks whether the bot may push its own branches.
func (p *inspected) judgeBranches() {
	for _, rule := range slices.Concat(p.guard.rules, p.guard.others) {
		if covers(rule.Name, path.Join("boatlift", "x")) && !p.opens(rule.PushAccessLevels).bot {
			p.tell("the protected branch "+wire.Clean(rule.Name, 100)+" covers the bot's own branches (boatlift/…), and the bot may not push to it",
				"name only the branches that are meant "+settingsOfBranches+", or let the bot push there")
		}
	}
}

// statusCheck is an external status check of a project.
type statusCheck struct {
	Name     string `json:"name"`
	Branches []struct {
		Name string `json:"name"`
	} `json:"protected_branches"`
}

// judgeEnforcement tells what holds a merge against the gate here, and what only seems to.
func (p *inspected) judgeEnforcement(ctx context.Context) {
	p.judgeBranches()
	check := wire.Clean(p.wanted.Check, 100)
	if p.set.Pipelines {
		p.tell("“Pipelines must succeed” is on, which holds nobody who wants past the gate: whoever may push can set the commit status "+check, "")
	}
	_, merge := p.opened()
	alone := p.guard.protected && p.guard.detailed && merge.bot && !merge.developers && !merge.maintainers && !merge.others
	if p.set.StatusChecks != nil {
		p.judgeStatusCheck(ctx, check, alone)
		return
	}
	switch {
	case alone:
		p.tell(check+" holds every merge: nobody but the bot merges, and it merges what the gate allows", "")
	case p.guard.protected && !merge.developers && p.set.Approvals == nil:
		p.tell(check+" holds all but Maintainers, who may merge against it; a GitLab without a licence cannot do more", "")
	case p.guard.protected && !merge.developers && !p.guard.detailed:
		p.tell(check+" holds all but those who may merge into "+wire.Clean(p.repo.DefaultBranch, 100)+" beside the bot; it should be nobody, and is shown to Maintainers only", "")
	case p.guard.protected && !merge.developers:
		p.tell(check+" holds all but those who may merge into "+wire.Clean(p.repo.DefaultBranch, 100)+" beside the bot: they may merge against it",
			"let the bot's account alone merge "+settingsOfBranches+p.soThatItMerges())
	default:
		p.tell(check+" is not enforced: only the mark [Draft] holds the bot's merge requests, and any Developer may take it away",
			"protect the branch "+settingsOfBranches+": nobody pushes and merges, and "+p.mergers()+p.soThatItMerges())
	}
}

// soThatItMerges is what has to be done besides where people merge so far.
func (p *inspected) soThatItMerges() string {
	if p.wanted.Merges {
		return ""
	}
	return "; and write merge: approved or auto, so that it does"
}

// judgeStatusCheck looks for the external status check, and whether it has to pass.
func (p *inspected) judgeStatusCheck(ctx context.Context, check string, alone bool) {
	checks, err := askAll[statusCheck](ctx, p.Forge, "list the external status checks of "+p.repo.FullName, p.path("/external_status_checks"))
	shown := err == nil
	switch {
	case errors.Is(err, forge.ErrForbidden), errors.Is(err, forge.ErrNotFound), errors.Is(err, forge.ErrGone): // GitLab says 401 to whom it does not show them
	case err != nil:
		found := trouble(p.repo.FullName, err)
		p.tell(found.Say, found.Fix)
		return
	}
	i := slices.IndexFunc(checks, func(c statusCheck) bool { return c.Name == p.wanted.Check })
	must := "demand " + settingsOfMerges + " that status checks succeed"
	add := "add one named " + check + ", with any https address"
	switch {
	case shown && i >= 0 && len(checks[i].Branches) > 0 && !slices.ContainsFunc(checks[i].Branches, func(b struct {
		Name string `json:"name"`
	},
	) bool {
		return covers(b.Name, p.repo.DefaultBranch)
	}):
		p.tell("the external status check "+check+" is not asked for on "+wire.Clean(p.repo.DefaultBranch, 100), "let it apply to that branch "+settingsOfMerges)
	case shown && i >= 0 && *p.set.StatusChecks:
		p.tell(check+" holds every merge, as an external status check that has to succeed; a Developer who answers it by the API could say that it does", "")
	case alone:
		p.tell(check+" holds every merge: nobody but the bot merges, and it merges what the gate allows", "")
	case shown && i >= 0:
		p.tell("the external status check "+check+" is there, and need not succeed: it holds nothing", must)
	case shown:
		p.tell("there is no external status check "+check+", so that only the mark [Draft] holds the bot's merge requests", add+", and "+must)
	case *p.set.StatusChecks:
		p.tell("external status checks have to succeed; whether one is "+check+" is shown to Maintainers only", "")
	default:
		p.tell("external status checks need not succeed, so that they hold nothing", add+" if there is none, and "+must)
	}
}

// hostOf is an address without what may be secret in it.
func hostOf(address string) string {
	at, err := url.Parse(address)
	if err != nil || at.Host == "" {
		return "an address that is none"
	}
	return wire.Clean((&url.URL{Scheme: at.Scheme, Host: at.Host, Path: at.Path}).String(), 200)
}
