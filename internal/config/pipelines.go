package config

import (
	"fmt"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/trust"
)

// Pipeline is which jobs of continuous integration may call the bot, and what they may.
type Pipeline struct {
	Name         string
	Type         string // github-actions or gitlab-ci
	Issuer       string // empty: the type's public one
	Audience     string
	Repositories []string
	Refs         []string        // empty: any
	Push         []image.Pattern // the images of which they may tell that they were pushed
	Certify      []promotion.Certify
}

// pipelines checks whose jobs may call the bot.
func (b *botCheck) pipelines(entries []pipelineEntry, publicURL string) []Pipeline {
	names := map[string]int{}
	var out []Pipeline
	for _, e := range entries {
		p := Pipeline{Name: e.Name.value, Type: e.Type.value, Issuer: b.address(e.Issuer, "issuer", false), Audience: e.Audience.or(publicURL), Push: b.images(e.Images), Certify: b.certify(e.Certify)}
		if e.Name.set {
			if line, twice := names[p.Name]; twice {
				b.add(e.Name, fmt.Sprintf("the name is taken, in line %d", line), "give each pipeline its own name")
			} else if len(p.Name) > maxName || !entryPattern.MatchString(p.Name) {
				b.add(e.Name, "the name is none", "write at most 63 small letters, digits, and - between them")
			}
			names[p.Name] = e.Name.line
		}
		if e.isMap && p.Audience == "" && !e.given["audience"] {
			b.add(e, "it is not known for whom the tokens have to be", "write audience: https://boatlift.acme.io, or publicURL: at the top of the file")
		}
		p.Repositories = b.globs(e.Repositories, "repository", "write owner/name, or owner/* for all of an owner")
		p.Refs = b.globs(e.Refs, "ref", "write refs/heads/main, or refs/tags/* for all tags")
		if e.given["repositories"] && len(e.Repositories) == 0 {
			b.add(e, "repositories is empty, so that no job may call", "write repositories: [owner/name]")
		}
		if e.isMap && len(e.Images) == 0 && len(e.Certify) == 0 {
			b.add(e, "the jobs may do nothing", "write images: [registry.acme.io/shop/*], the images of which they may tell, or certify: and what they may certify")
		}
		out = append(out, p)
	}
	return out
}

// globs checks patterns of repositories or refs.
func (b *botCheck) globs(list []text, what, right string) []string {
	var patterns []string
	for _, t := range list {
		if !t.set {
			continue
		}
		if err := trust.CheckPattern(t.value); err != nil {
			b.add(t, "this is no pattern of a "+what+": "+err.Error(), right)
			continue
		}
		patterns = append(patterns, t.value)
	}
	return patterns
}
