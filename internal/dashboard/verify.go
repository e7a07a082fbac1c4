package dashboard

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// verificationsPath is where test systems say what they found.
const verificationsPath = "/verifications"

// VerificationRequest says that images passed or failed a test in an environment.
type VerificationRequest struct {
	Environment string `json:"environment"` // acme/infra-acceptance:acceptance
	// Images are what was tested: names with their digests, registry.acme.io/shop/web@sha256:…. A name with a tag stands for the digest that
	// runs there under this tag.
	Images []string `json:"images"`
	Name   string   `json:"name"`            // as verify: in .boatlift.yaml has it
	Result string   `json:"result"`          // passed or failed
	URL    string   `json:"url,omitempty"`   // where people can read more
	Actor  string   `json:"actor,omitempty"` // who says so, on the socket; a token's own name goes before it
	DryRun bool     `json:"dryRun,omitempty"`
}

// VerificationAnswer tells what was recorded.
type VerificationAnswer struct {
	Done   string                      `json:"done"`
	Images map[image.Name]image.Digest `json:"images"`
	Counts bool                        `json:"counts"`         // it says something of what runs there now, and is asked for
	Hint   string                      `json:"hint,omitempty"` // why it does not
}

// Results of a verification.
const (
	passed = "passed"
	failed = "failed"
)

// Bounds of a request.
const (
	maxVerified = 200
	maxCheck    = 200
	maxURL      = 2000
)

// verify records what a test system found. It is bound to the digests: of others it says nothing.
func (a *API) verify(r *http.Request) (any, error) {
	var req VerificationRequest
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	if err := req.check(); err != nil {
		return nil, err
	}
	if req.Actor = actor(r, req.Actor); req.Actor == "" {
		return nil, errNobody()
	}
	at, err := a.environment(r.Context(), req.Environment)
	if err := mayCertify(r, req, at, err); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	memory, err := a.Store.Memory(r.Context(), at.repo.Key)
	if err != nil {
		return nil, err
	}
	run := runningIn(memory, at.name)
	v := promotion.Verification{
		Environment: at.name, Name: req.Name, Images: map[image.Name]image.Digest{}, Passed: req.Result == passed, URL: req.URL, Actor: req.Actor, At: a.Store.Now(),
	}
	known := imagesOf(memory.Listings, at.name)
	for _, text := range req.Images {
		name, digest, err := tested(text, known, run, at)
		if err != nil {
			return nil, err
		}
		if was, twice := v.Images[name]; twice && was != digest {
			return nil, &Problem{Message: string(name) + " is named at two digests", Fix: "send a verification for each", Status: http.StatusBadRequest}
		}
		v.Images[name] = digest
	}
	answer := VerificationAnswer{Images: v.Images}
	answer.Counts, answer.Hint = counts(v, run, at)
	answer.Done = req.Name + " " + req.Result + " for " + names(slices.Sorted(maps.Keys(v.Images))) + " in " + at.String()
	if req.DryRun {
		answer.Done += " would be recorded"
		return answer, nil
	}
	answer.Done += " is recorded"
	detail, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return answer, a.Store.Operate(r.Context(), at.repo.Key, func(tx *store.Tx) error {
		tx.AddVerification(v)
		tx.Audit(store.AuditEntry{Actor: req.Actor, Role: role(r), Action: "certified " + req.Result, Subject: at.String(), Detail: detail})
		return nil
	})
}

func (req VerificationRequest) check() error {
	wrong := func(message, fix string) error {
		return &Problem{Message: message, Fix: fix, Status: http.StatusBadRequest}
	}
	switch u, err := url.Parse(req.URL); {
	case req.Name == "" || len(req.Name) > maxCheck || line(req.Name) != req.Name || strings.TrimSpace(req.Name) != req.Name:
		return wrong("the name of the test is missing, or none", "write it as verify: in .boatlift.yaml has it")
	case req.Result != passed && req.Result != failed:
		return wrong("the result is "+quote(line(req.Result)), "write passed or failed")
	case len(req.Images) == 0:
		return wrong("no image is named", "name what was tested, as registry.acme.io/shop/web@sha256:…")
	case len(req.Images) > maxVerified:
		return wrong("more than "+count(maxVerified, "image", "images")+" are named", "send several verifications")
	case req.URL != "" && (err != nil || len(req.URL) > maxURL || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || line(req.URL) != req.URL):
		return wrong("the URL is no address of a page", "write it as https://jenkins.acme.io/job/7")
	}
	return nil
}

// mayCertify tells whether the caller may certify this name there. To one that may not, it does not tell whether the environment exists.
func mayCertify(r *http.Request, req VerificationRequest, at place, notFound error) error {
	c, overNetwork := callerOf(r)
	if !overNetwork {
		return nil
	}
	refused := &Problem{
		Message: c.Name + " may not certify " + quote(req.Name) + " in " + quote(line(req.Environment)),
		Fix:     "write the environment as owner/name:environment, or add it to certify at this caller in boatlift.yaml", Status: http.StatusForbidden,
	}
	var unknown *Problem
	if notFound != nil {
		if errors.As(notFound, &unknown) && !c.may(Read) {
			return refused
		}
		return notFound
	}
	if !slices.ContainsFunc(c.Certify, func(list promotion.Certify) bool { return list.Allows(req.Name, at.String(), at.precise()) }) {
		return refused
	}
	return nil
}

// tested is the image and the digest that a test system means.
func tested(text string, known []image.Name, run promotion.Running, at place) (image.Name, image.Digest, error) {
	wrong := func(status int, message, fix string) (image.Name, image.Digest, error) {
		return "", "", &Problem{Message: message, Fix: fix, Status: status}
	}
	rest, digest, hasDigest := strings.Cut(text, "@")
	name, tag := rest, ""
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		name, tag = rest[:i], rest[i+1:]
	}
	matched := matchImages(name, known)
	switch {
	case len(matched) == 0:
		return wrong(http.StatusNotFound, at.String()+" does not list "+quote(line(name)), "it lists "+names(known))
	case len(matched) > 1:
		return wrong(http.StatusConflict, count(len(matched), "image", "images")+" of "+at.String()+" end in "+name, "write one of "+names(matched))
	case hasDigest:
		d, err := image.ParseDigest(digest)
		if err != nil {
			return wrong(http.StatusBadRequest, err.Error(), "write "+string(matched[0])+"@sha256: and its 64 digits")
		}
		return matched[0], d, nil
	case tag == "":
		return wrong(http.StatusBadRequest, string(matched[0])+" has neither digest nor tag", "name what was tested, as "+string(matched[0])+"@sha256:…")
	}
	now, runs := run.Images[matched[0]]
	if !runs || now.Digest == "" || now.Tag != tag {
		what := "is not known to run"
		if runs && now.Digest != "" {
			what = "runs at " + label(now.Tag, now.Digest)
		}
		return wrong(http.StatusConflict, string(matched[0])+" "+what+" in "+at.String()+", and not at "+line(tag), "name the digest that was tested")
	}
	return matched[0], now.Digest, nil
}

// counts tells whether a verification says something of what runs, and if not, why.
func counts(v promotion.Verification, run promotion.Running, at place) (ok bool, why string) {
	var asked []string
	for _, p := range run.Proofs {
		asked = append(asked, p.Check)
	}
	for _, name := range slices.Sorted(maps.Keys(v.Images)) {
		if now := run.Images[name]; now.Digest != v.Images[name] {
			return false, string(name) + " does not run at this digest in " + at.String() + ", so it says nothing of what runs"
		}
	}
	switch {
	case slices.Contains(asked, v.Name):
		return true, ""
	case len(asked) == 0:
		return false, at.String() + " asks for no verification: write verify: [" + v.Name + "] in its .boatlift.yaml"
	default:
		return false, at.String() + " does not ask for it from test systems; it asks for " + strings.Join(asked, ", ")
	}
}
