package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/store"
)

// pushesPath is where a job tells of what it pushed.
const pushesPath = "/pushes"

// PushRequest tells that images were pushed.
type PushRequest struct {
	// Images are references with a tag, and with the digest where it is known: registry.acme.io/shop/web:1.4.2@sha256:…. It is a hint like
	// that of a webhook: what the tag is, the registry is asked.
	Images []string `json:"images"`
	// ID is what the caller knows this request by: sent again with the same one, it is known already. Empty: never.
	ID string `json:"id,omitempty"`
}

// PushAnswer tells what became of it.
type PushAnswer struct {
	Outcome store.Outcome `json:"outcome"` // stored, with the work that it makes, durably; or duplicate: known already
	ID      int64         `json:"id"`      // the number by which boatlift why knows it
	Images  []string      `json:"images"`  // as they are known here
	// Unused are those of them that no environment lists: nothing will come of those.
	Unused []string `json:"unused"`
}

func (p PushAnswer) status() int {
	if p.Outcome == store.Duplicate {
		return http.StatusOK
	}
	return http.StatusAccepted
}

// Bounds of a request, and of how long it is seen through.
const (
	seeThrough    = 15 * time.Second
	maxPushBody   = 64 << 10
	maxPushImages = 100
	maxPushID     = 128
)

// pushed stores that images were pushed, as a webhook's delivery is stored.
func (a *API) pushed(r *http.Request) (any, error) {
	request, refs, err := readPushes(r)
	if err != nil {
		return nil, err
	}
	sender := "pushes/socket"
	if c, ok := callerOf(r); ok {
		sender = "pushes/" + c.Name
		for _, ref := range refs {
			if c.Role.rank() < Operate.rank() && !slices.ContainsFunc(c.Push, func(p image.Pattern) bool { return p.Match(ref.Name) }) {
				if a.Log != nil {
					a.Log.Warn("a push that may not be told of", "caller", c.Name, "image", string(ref.Name))
				}
				return nil, &Problem{
					Message: c.Name + " may not tell of " + string(ref.Name), Fix: "add it to the images of this caller in boatlift.yaml", Status: http.StatusForbidden,
				}
			}
		}
	}
	d := store.Delivery{Sender: sender, DeliveryID: request.ID, Event: "push", Outcome: store.Stored, ReceivedAt: a.now()}
	var pushes []store.Push
	answer := PushAnswer{Outcome: store.Stored, Images: []string{}, Unused: []string{}}
	for _, ref := range refs {
		pushes = append(pushes, store.Push{Image: ref.Name, Tag: ref.Tag, Digest: ref.Digest, ReceivedAt: d.ReceivedAt})
		d.Images = append(d.Images, string(ref.Name))
		answer.Images = append(answer.Images, ref.String())
	}
	d.About = strings.Join(answer.Images, ", ")
	if d.Body, err = json.Marshal(request); err != nil {
		return nil, err
	}
	// What has come whole is seen through although who sent it may hang up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), seeThrough)
	defer cancel()
	accepted, err := a.Store.Accept(ctx, d, pushes, nil)
	if err != nil {
		return nil, err
	}
	if answer.ID = accepted.ID; accepted.Known {
		answer.Outcome = store.Duplicate
	}
	if a.Observe != nil {
		a.Observe("pushes", answer.Outcome)
	}
	for i, ref := range refs {
		// It is stored: that this cannot be told is no reason to send it again.
		if repos, err := a.Store.ReposListing(ctx, ref.Name); err == nil && len(repos) == 0 {
			answer.Unused = append(answer.Unused, answer.Images[i])
		}
	}
	return answer, nil
}

// readPushes reads and checks a request. Nothing of it counts where anything is wrong.
func readPushes(r *http.Request) (request PushRequest, refs []image.Ref, err error) {
	wrong := func(message, fix string) (PushRequest, []image.Ref, error) {
		return PushRequest{}, nil, &Problem{Message: message, Fix: fix, Status: http.StatusBadRequest}
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxPushBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return PushRequest{}, nil, &Problem{Message: "the request is too large", Fix: "tell of fewer images at a time", Status: http.StatusRequestEntityTooLarge}
	} else if err != nil {
		return wrong("the request broke off", "send it again")
	}
	const example = `send {"images": ["registry.acme.io/shop/web:1.4.2"]}`
	if err := json.Unmarshal(body, &request); err != nil {
		return wrong("the request is not understood", example)
	}
	switch {
	case len(request.Images) == 0:
		return wrong("the request names no image", example)
	case len(request.Images) > maxPushImages:
		return wrong("the request names more than "+strconv.Itoa(maxPushImages)+" images", "send several")
	case len(request.ID) > maxPushID || strings.ContainsFunc(request.ID, func(c rune) bool { return c <= ' ' || c > '~' }):
		return wrong("the id is longer than "+strconv.Itoa(maxPushID)+" characters, or has other characters than letters, digits and signs", "send a UUID")
	}
	for _, text := range request.Images {
		ref, err := image.Parse(text)
		switch {
		case err != nil:
			return wrong(err.Error(), "name it as docker push does: registry.acme.io/shop/web:1.4.2")
		case ref.Tag == "":
			return wrong(ref.String()+" has no tag", "name the tag that was pushed: "+string(ref.Name)+":1.4.2")
		}
		if !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	return request, refs, nil
}
