package trust

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// The types of continuous integration whose jobs can be believed.
const (
	GitHubActions = "github-actions"
	GitLabCI      = "gitlab-ci"
)

// PipelineTypes are the types that a pipeline may have.
func PipelineTypes() []string { return []string{GitHubActions, GitLabCI} }

// Pipeline is which jobs of continuous integration are believed.
type Pipeline struct {
	Name         string
	Type         string   // GitHubActions or GitLabCI
	Issuer       string   // who signs their tokens; empty: GitHub's or GitLab's own service
	Audience     string   // for whom the tokens have to be; never empty
	Repositories []string // owner/name or group/project; * stands for any characters of one element, ** at the end for any number of elements
	Refs         []string // refs/heads/main, refs/tags/*; empty: any
}

// Job is a job whose token was proved.
type Job struct {
	Pipelines  []string // the names of those that its token fits, in their order
	Repository string
	Ref        string // refs/heads/main
	Commit     string
	Run        string // what tells this run of the pipeline from others
}

// RefusedError reports a token that was not proved, or a job that is not on the list.
type RefusedError struct {
	Reason string // for operators
	Tell   string // for whoever sent it
	Proved bool   // it is proved whose job it is: that one may not
}

func (e *RefusedError) Error() string { return e.Reason }

// Public is what may be told to whoever sent the token.
func (e *RefusedError) Public() string { return e.Tell }

// Forbidden tells that it is proved whose job it is, and that one may not.
func (e *RefusedError) Forbidden() bool { return e.Proved }

// Permanent tells that the same token will never be taken.
func (e *RefusedError) Permanent() bool { return true }

// Pipelines proves the tokens of jobs. It is safe for concurrent use.
type Pipelines struct {
	list  []Pipeline
	shelf *Shelf
}

// clockSkew is how far the clocks of an issuer and this machine may differ. GitHub's tokens last five minutes.
const clockSkew = time.Minute

// NewPipelines believes the jobs of a list. Their issuers' keys are asked over transport (nil: http.DefaultTransport); now is the clock
// by which tokens expire (nil: time.Now). The error is that of a pipeline that could prove nothing.
func NewPipelines(list []Pipeline, transport http.RoundTripper, now func() time.Time) (*Pipelines, error) {
	list = slices.Clone(list)
	keys := map[string]bool{}
	for i, p := range list {
		if p.Issuer == "" {
			list[i].Issuer = publicIssuers[p.Type]
		}
		p = list[i]
		switch {
		case keysOf(p) == "":
			return nil, fmt.Errorf("pipeline %s: %q is no type of pipelines", p.Name, p.Type)
		case p.Audience == "" || len(p.Repositories) == 0:
			return nil, fmt.Errorf("pipeline %s has no audience, or no repositories", p.Name)
		}
		for _, pattern := range slices.Concat(p.Repositories, p.Refs) {
			if err := CheckPattern(pattern); err != nil {
				return nil, fmt.Errorf("pipeline %s: %w", p.Name, err)
			}
		}
		keys[keysOf(p)] = true
		list[i].Repositories = slices.Clone(p.Repositories)
		for j, pattern := range p.Repositories {
			list[i].Repositories[j] = strings.ToLower(pattern)
		}
	}
	return &Pipelines{list, NewShelf(transport, now, func(at *url.URL) bool { return keys[at.String()] })}, nil
}

var publicIssuers = map[string]string{GitHubActions: "https://token.actions.githubusercontent.com", GitLabCI: "https://gitlab.com"}

// keysOf is the address of the issuer's keys, which follows from its own. Source: the jwks_uri of the discovery documents of GitHub (the
// same on Enterprise Server, whose issuer is https://HOST/_services/token) and of GitLab.
func keysOf(p Pipeline) string {
	switch base := strings.TrimRight(p.Issuer, "/"); p.Type {
	case GitHubActions:
		return base + "/.well-known/jwks"
	case GitLabCI:
		return base + "/oauth/discovery/keys"
	}
	return ""
}

// Prove proves whose job a token was given to. The error is a *RefusedError or, where the issuer's keys cannot be had just now, an
// *UnreachedError.
func (p *Pipelines) Prove(ctx context.Context, token string) (Job, error) {
	const tell = "the token is not one of a pipeline that may ask here"
	seen, ok := peek(token)
	if !ok || !LooksLikeToken(token) {
		return Job{}, &RefusedError{Reason: "it is no token (JWT)", Tell: tell}
	}
	var candidates []Pipeline
	issued := false
	for _, one := range p.list {
		if one.Issuer == seen.Issuer {
			issued = true
			if slices.Contains(seen.Audience, one.Audience) && (len(candidates) == 0 || one.Type == candidates[0].Type) {
				candidates = append(candidates, one)
			}
		}
	}
	if len(candidates) == 0 {
		reason := "the issuer that it names is that of no pipeline"
		if issued {
			reason = "the audience that it names is that of no pipeline"
		}
		return Job{}, &RefusedError{Reason: reason, Tell: tell + ": " + reason}
	}
	first := candidates[0]
	proved, err := p.shelf.Verify(ctx, Issuer{URL: first.Issuer, Audience: first.Audience, Keys: keysOf(first), Skew: clockSkew}, token)
	var wrong *TokenError
	switch {
	case errors.As(err, &wrong) && wrong.Signed:
		return Job{}, &RefusedError{Reason: wrong.Reason, Tell: tell + ": " + wrong.Reason}
	case errors.As(err, &wrong):
		return Job{}, &RefusedError{Reason: wrong.Reason, Tell: tell}
	case err != nil:
		return Job{}, err
	}
	job, err := read(proved, first.Type)
	if err != nil {
		return Job{}, &RefusedError{Reason: err.Error(), Tell: tell + ": " + err.Error()}
	}
	return job.listed(candidates)
}

// read finds in a token's claims whose job it is. Source: GitHub's "OpenID Connect reference", GitLab's "OpenID Connect (OIDC)
// Authentication Using ID Tokens".
func read(proved Token, kind string) (Job, error) {
	var claims struct {
		// GitHub
		Repository string `json:"repository"`
		SHA        string `json:"sha"`
		RunID      string `json:"run_id"`
		RunAttempt string `json:"run_attempt"`
		// GitLab
		Project  string `json:"project_path"`
		RefType  string `json:"ref_type"`
		JobID    string `json:"job_id"`
		Pipeline string `json:"pipeline_id"`
		// both: refs/heads/main at GitHub, main at GitLab
		Ref string `json:"ref"`
	}
	if err := proved.Claims(&claims); err != nil {
		return Job{}, errors.New("its token's claims are not understood")
	}
	job := Job{Repository: claims.Repository, Ref: claims.Ref, Commit: claims.SHA, Run: claims.RunID + "/" + claims.RunAttempt}
	if kind == GitLabCI {
		job.Repository, job.Run = claims.Project, claims.Pipeline+"/"+claims.JobID
		switch claims.RefType {
		case "branch":
			job.Ref = "refs/heads/" + claims.Ref
		case "tag":
			job.Ref = "refs/tags/" + claims.Ref
		}
	}
	if !strings.Contains(job.Repository, "/") {
		return Job{}, errors.New("its token names no repository")
	}
	return job, nil
}

// listed fills in the pipelines that a job fits.
func (j Job) listed(candidates []Pipeline) (Job, error) {
	const tell = "the token's repository or ref is not one that may ask here"
	known := false
	for _, one := range candidates {
		if !anyMatches(one.Repositories, strings.ToLower(j.Repository)) {
			continue
		}
		known = true
		if len(one.Refs) == 0 || anyMatches(one.Refs, j.Ref) {
			j.Pipelines = append(j.Pipelines, one.Name)
		}
	}
	switch {
	case len(j.Pipelines) > 0:
		return j, nil
	case known:
		return Job{}, &RefusedError{Reason: "its ref " + quoted(j.Ref) + " of " + quoted(j.Repository) + " is that of no pipeline", Tell: tell, Proved: true}
	}
	return Job{}, &RefusedError{Reason: "its repository " + quoted(j.Repository) + " is that of no pipeline", Tell: tell, Proved: true}
}

// CheckPattern checks a pattern for repositories or refs.
func CheckPattern(pattern string) error {
	elements := strings.Split(pattern, "/")
	switch i := slices.Index(elements, "**"); {
	case pattern == "" || slices.Contains(elements, ""):
		return errors.New("an element between two / is empty")
	case strings.ContainsAny(pattern, "[]?\\ "):
		return errors.New("only * and ** are wildcards")
	case i >= 0 && i < len(elements)-1:
		return errors.New("** stands only at the end")
	case slices.ContainsFunc(elements, func(s string) bool { return s != "**" && strings.Contains(s, "**") }):
		return errors.New("** stands alone after a /")
	}
	return nil
}

func anyMatches(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, text) })
}

// matches compares element by element. Repositories come in lower case, as forges do not tell case apart; refs are as they are.
func matches(pattern, text string) bool {
	if base, deep := strings.CutSuffix(pattern, "**"); deep {
		n := strings.Count(base, "/")
		elements := strings.Split(text, "/")
		if len(elements) <= n {
			return false
		}
		pattern, text = base+"*", strings.Join(append(slices.Clone(elements[:n]), elements[n]), "/")
	}
	ok, err := path.Match(pattern, text)
	return ok && err == nil
}
