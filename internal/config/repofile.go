package config

import "reflect"

// repoFile is the shape of .boatlift.yaml. The tags are explained at field.
type repoFile struct {
	object
	Environments []environment `json:"environments" eg:"environments: [{name: acceptance}]" jsonschema:"minItems=1" jsonschema_description:"The environments of this repository: subtrees of Kustomize files, each with the rules by which images reach it. Their subtrees do not overlap."`
}

type environment struct {
	object
	Name     text        `json:"name" eg:"name: acceptance" jsonschema:"pattern=^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$,maxLength=63" jsonschema_description:"What people call the environment. Branches, pull requests and checks carry it, and other environments name it under after."`
	Path     text        `json:"path,omitempty" eg:"path: overlays/production" jsonschema_description:"The folder that belongs to the environment, from the top of the repository. Default: the whole repository."`
	After    []text      `json:"after,omitempty" eg:"after: [\"acme/infra-acceptance:acceptance\"]" jsonschema_description:"Environments in which exactly the same digests must run first: owner/name:environment in another repository, or environment of this file."`
	Rollout  *rollout    `json:"rollout,omitempty" eg:"rollout: {deployment: production}" jsonschema_description:"What counts as evidence that a merged commit runs. Left out, nothing does, and environments that come after this one wait for ever."`
	Images   []imageRule `json:"images,omitempty" eg:"images: [{image: registry.acme.io/shop/*}]" jsonschema:"minItems=1" jsonschema_description:"Which images are promoted, by which tags. Where several match, the most specific counts; an image that none matches is left alone. Default: every image that a kustomization under path lists."`
	Verify   []check     `json:"verify,omitempty" eg:"verify: [smoke]" jsonschema_description:"Statuses and checks that must be green on the rolled-out commit before it counts as verified for the environments that come after this one."`
	Policies []policyUse `json:"policies,omitempty" eg:"policies: [{soak: {for: 30m}}]" jsonschema_description:"Policies that must allow a merge, beside those that the organisation requires. boatlift policy list shows all."`
	Pin      text        `json:"pin,omitempty" eg:"pin: tag+digest" jsonschema:"enum=tag+digest,enum=digest,enum=tag,default=tag+digest" jsonschema_description:"What pull requests write. tag alone is refused where the environment comes after another, or another after it, since a tag can move."`
	Merge    text        `json:"merge,omitempty" eg:"merge: manual" jsonschema:"enum=manual,enum=approved,enum=auto,default=manual" jsonschema_description:"Who merges: a person; the bot, once the gate is green and a review given since then approves; the bot, once the gate is green."`
	Group    group       `json:"group,omitempty" eg:"group: [[web, worker]]" jsonschema_description:"Images that move together in one pull request, whatever their folders; or the word environment for all of them. Default: images that share a folder."`
	Together boolean     `json:"together,omitempty" eg:"together: true" jsonschema:"default=false" jsonschema_description:"Wait until every image of the app has the new tag. Excludes settle."`
	Settle   span        `json:"settle,omitempty" eg:"settle: 60s" jsonschema:"default=60s" jsonschema_description:"How long a release waits for the new tags of the app's other images."`
	Mode     text        `json:"mode,omitempty" eg:"mode: propose" jsonschema:"enum=propose,enum=observe,enum=off,default=propose" jsonschema_description:"How far the bot may go: open pull requests; only tell what it would propose; nothing."`
	MaxOpen  number      `json:"maxOpen,omitempty" eg:"maxOpen: 10" jsonschema:"minimum=0,maximum=1000,default=10" jsonschema_description:"How many pull requests may be open in the environment at once. 0: no limit."`

	Platforms []text `json:"platforms,omitempty" eg:"platforms: [linux/amd64, linux/arm64]" jsonschema:"minItems=1" jsonschema_description:"The platforms that an image must be built for before it is proposed here: os/architecture. Default: any."`

	EarlierApprovals boolean    `json:"earlierApprovals,omitempty" eg:"earlierApprovals: true" jsonschema:"default=false" jsonschema_description:"With merge: approved, whether approvals that were given before the gate turned green count too."`
	MergeMethod      text       `json:"mergeMethod,omitempty" eg:"mergeMethod: squash" jsonschema:"enum=merge,enum=squash,enum=rebase" jsonschema_description:"How the bot merges. Default: the first of merge, squash and rebase that the repository allows."`
	Reviewers        *reviewers `json:"reviewers,omitempty" eg:"reviewers: {users: [alice], teams: [acme/ops]}" jsonschema_description:"Who is asked for a review once nothing but approvals is missing. Default: whom the policies approvals name."`
}

type reviewers struct {
	object
	Users []text `json:"users,omitempty" eg:"users: [alice, bob]" jsonschema:"minItems=1" jsonschema_description:"People by their user names."`
	Teams []text `json:"teams,omitempty" eg:"teams: [acme/ops]" jsonschema:"minItems=1" jsonschema_description:"Teams with their organisation."`
}

type rollout struct {
	object
	Deployment text    `json:"deployment,omitempty" eg:"deployment: production" jsonschema:"maxLength=255" jsonschema_description:"The deployment status that the forge has of the environment of this name."`
	Workflow   text    `json:"workflow,omitempty" eg:"workflow: apply.yml" jsonschema:"pattern=^[A-Za-z0-9._-]+[.]ya?ml$,maxLength=100" jsonschema_description:"The workflow file, in .github/workflows, whose run for a push to the default branch must succeed."`
	Merge      boolean `json:"merge,omitempty" eg:"merge: true" jsonschema_description:"The merge itself counts, for clusters that follow the branch without telling how it went."`
	Timeout    span    `json:"timeout,omitempty" eg:"timeout: 1h" jsonschema:"default=1h" jsonschema_description:"How long a rollout may tell nothing, or fail to appear after a merge, before it counts as unknown."`
}

// check is the name of a status or a check, or a map that also says who has to report it.
type check struct {
	place
	set bool
	checkMap
}

type checkMap struct {
	object
	Name text `json:"name" eg:"name: smoke" jsonschema:"maxLength=200" jsonschema_description:"The name of the status or check, exactly as the forge shows it."`
	App  text `json:"app,omitempty" eg:"app: github-actions" jsonschema:"maxLength=100" jsonschema_description:"Only what this App reports counts, by its short name."`
	User text `json:"user,omitempty" eg:"user: ci-acme" jsonschema:"maxLength=100" jsonschema_description:"Only what this account reports counts."`
}

func (c *check) read(d *decoder, n *node, f field) {
	if n.kind == mapping {
		d.object(n, reflect.ValueOf(&c.checkMap).Elem())
	} else {
		c.Name.place = n.place
		c.Name.read(d, n, f)
	}
	c.set = c.Name.set
}

type imageRule struct {
	object
	Image text  `json:"image" eg:"image: registry.acme.io/shop/*" jsonschema:"maxLength=255" jsonschema_description:"An image's name, or a pattern: * stands for one element of the path or any characters within one, ** for any number of elements. Matched against newName, else name."`
	Tags  *tags `json:"tags,omitempty" eg:"tags: {semver: \">=1.0.0\"}" jsonschema_description:"Which tags are taken. Default: inferred from the tag that is there, if it is a semantic version."`
}

type tags struct {
	object
	Semver text `json:"semver,omitempty" eg:"semver: \">=1.0.0\"" jsonschema_description:"A range of semantic versions, as >=1.4.0, ^1.4 or >=1.0.0 <2.0.0."`
	Regex  text `json:"regex,omitempty" eg:"regex: 'build-(\\d+)'" jsonschema_description:"A regular expression (RE2) that matches the whole tag. Needs order."`
	Order  text `json:"order,omitempty" eg:"order: numeric" jsonschema:"enum=numeric,enum=alphabetical,enum=newest" jsonschema_description:"How tags that match regex are ranked: by the first group as numbers or as text, or by the time they were first seen."`
	Follow text `json:"follow,omitempty" eg:"follow: stable" jsonschema_description:"One moving tag, followed by its digest."`
}

// group is a list of lists of images, or the word environment.
type group struct {
	place
	set    bool
	all    bool
	groups [][]text
}

const groupRight = "write group: [[web, worker]] for images that move together, or group: environment for all"

func (g *group) read(d *decoder, n *node, f field) {
	switch {
	case n.kind == scalarText && n.value == "environment":
		g.set, g.all = true, true
		return
	case n.kind == scalarText:
		d.add(n, "group is neither lists of images nor the word environment", groupRight)
		return
	case !d.is(n, sequence, f):
		return
	}
	g.set = true
	for _, list := range n.items {
		if !d.spend() {
			return
		}
		if list.kind != sequence || len(list.items) == 0 {
			d.add(list, "a group must be a list of images, and is "+list.describedSize(), groupRight)
			continue
		}
		members := make([]text, len(list.items))
		for i, item := range list.items {
			if !d.spend() {
				return
			}
			members[i].place = item.place
			members[i].read(d, item, field{key: "an image of a group", example: "group: [[web, worker]]"})
		}
		g.groups = append(g.groups, members)
	}
}
