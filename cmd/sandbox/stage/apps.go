package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/cmd/sandbox/images"
)

// App is the repository of the image of an app, of which there may be many.
func App(n int) string { return fmt.Sprintf("many/app%03d", n) }

// PushApps pushes the images of so many apps with a tag, and returns their digests.
func (s *Stage) PushApps(ctx context.Context, n int, tag string) (map[string]string, error) {
	digests := map[string]string{}
	for i := range n {
		digest, err := s.Registry.Push(ctx, App(i), tag, images.Image{})
		if err != nil {
			return nil, fmt.Errorf("push %s:%s: %w", App(i), tag, err)
		}
		digests[App(i)] = digest
	}
	return digests, nil
}

// PushAtOnce pushes the images of so many apps with a tag and tells the bot of all of them in one webhook, as a registry does that sends
// many events together. It is for a registry that is mute.
func (s *Stage) PushAtOnce(ctx context.Context, n int, tag string) error {
	digests, err := s.PushApps(ctx, n, tag)
	if err != nil {
		return err
	}
	var events []map[string]any
	for i := range n {
		events = append(events, map[string]any{
			"id": fmt.Sprintf("burst-%s-%d", tag, i), "timestamp": time.Now().UTC(), "action": "push",
			"target": map[string]any{
				"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digests[App(i)], "size": 500, "length": 500, "repository": App(i), "tag": tag,
				"url": "http://" + s.Registry.Host() + "/v2/" + App(i) + "/manifests/" + digests[App(i)],
			},
			"request": map[string]any{"id": "burst", "addr": "127.0.0.1", "host": s.Registry.Host(), "method": http.MethodPut, "useragent": "stage"},
			"source":  map[string]any{"addr": s.Registry.Host()},
		})
	}
	body, err := json.Marshal(map[string]any{"events": events})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Bot.URL()+"/hooks/registry", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+RegistryToken)
	request.Header.Set("Content-Type", "application/vnd.docker.distribution.events.v1+json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the bot answered %s: %s", answer.Status, text)
	}
	return nil
}

// AddRepo makes another infra repository, in which every app has a folder of its own, at FirstTag. Its configuration is that of a
// .boatlift.yaml; the bot hears of it by itself.
func (s *Stage) AddRepo(ctx context.Context, name, config string, digests map[string]string) error {
	files := map[string][]byte{".boatlift.yaml": []byte(config)}
	for repo, digest := range digests {
		base := repo[strings.LastIndexByte(repo, '/')+1:]
		files["apps/"+base+"/kustomization.yaml"] = fmt.Appendf(nil, "resources: [app.yaml]\nimages:\n  - name: %s\n    newName: %s/%s\n    newTag: %s\n    digest: %s\n",
			base, s.Registry.Host(), repo, FirstTag, digest)
		files["apps/"+base+"/app.yaml"] = []byte(deployment(base, "production"))
	}
	if _, err := s.Hub.CreateRepo(ctx, name, hub.RepoOptions{Files: files}); err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	return Await(ctx, patience, "the bot to know what is in "+name, func() (bool, error) {
		status, err := s.Status(ctx)
		if err != nil {
			return false, nil // not up yet
		}
		for _, r := range status.Repos {
			if r.Name == name && len(r.Environments) > 0 && len(r.Environments[0].Images) == len(digests) {
				return true, nil
			}
		}
		return false, nil
	})
}
