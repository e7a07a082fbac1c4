package stage

import (
	"context"
	"fmt"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/cmd/sandbox/images"
)

// Source is the repository that the images are built from. It is public, and the bot is not let into it.
const Source = "acme/shop"

func (s *Stage) createSource(ctx context.Context) error {
	_, err := s.Hub.CreateRepo(ctx, Source, hub.RepoOptions{
		Public: true, NotInstalled: true, Files: map[string][]byte{"README.md": []byte("# The shop\n"), "VERSION": []byte("0\n")},
	})
	if err != nil {
		return fmt.Errorf("make %s: %w", Source, err)
	}
	s.Hub.AddPerson("bob")
	if err := s.Hub.SetPermission(Source, "bob", hub.Write); err != nil {
		return fmt.Errorf("let bob into %s: %w", Source, err)
	}
	return nil
}

// build makes the commits that a tag is built from, once, and returns the last.
func (s *Stage) build(ctx context.Context, tag string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sha := s.revision[tag]; sha != "" {
		return sha, nil
	}
	var sha string
	for _, c := range []hub.Commit{
		{Person: "bob", Message: "Let the cart remember what was in it", Files: map[string][]byte{"cart.go": []byte("// as of " + tag + "\n")}},
		{Person: "alice", Message: "Answer the search in half the time\n\nMeasured on the shelf of " + tag + ".", Files: map[string][]byte{"search.go": []byte("// as of " + tag + "\n")}},
		{Person: "alice", Message: "Release " + tag, Files: map[string][]byte{"VERSION": []byte(tag + "\n")}},
	} {
		var err error
		if sha, err = s.Hub.Push(ctx, Source, c); err != nil {
			return "", fmt.Errorf("commit to %s: %w", Source, err)
		}
	}
	if s.revision == nil {
		s.revision = map[string]string{}
	}
	s.revision[tag] = sha
	return sha, nil
}

// push builds an image from the source and pushes it, with labels that say what it was built from.
func (s *Stage) push(ctx context.Context, repo, tag string) (digest string, err error) {
	sha, err := s.build(ctx, tag)
	if err != nil {
		return "", err
	}
	digest, err = s.Registry.Push(ctx, repo, tag, images.Image{Labels: map[string]string{
		"org.opencontainers.image.source": s.Hub.URL() + "/" + Source, "org.opencontainers.image.revision": sha,
	}})
	if err != nil {
		return "", fmt.Errorf("push %s:%s: %w", repo, tag, err)
	}
	return digest, nil
}
