package store

import (
	"context"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

func TestAnImageIsListedSinceItsTurnBegan(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, "sqlite::memory:", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	key := KeyOf("github", 1)
	if _, err := s.UpsertRepos(ctx, "github", []Repo{{Key: key, Forge: "github", ForgeID: 1, FullName: "acme/infra"}}); err != nil {
		t.Fatal(err)
	}
	claim, err := s.Claim(ctx, "test", time.Minute)
	if err != nil || claim == nil {
		t.Fatalf("Claim = %v, %v; want the new repo", claim, err)
	}
	name := image.Name("registry.acme.io/shop/web")
	// A push comes after the turn has looked at the tags and before it has written down what the repo lists.
	if _, err := s.Accept(ctx, Delivery{Sender: "acme", DeliveryID: "1", Outcome: Stored}, []Push{{Image: name, Tag: "1.0.1"}}, nil); err != nil {
		t.Fatal(err)
	}
	err = s.Update(ctx, claim, func(tx *Tx) error {
		tx.SaveListings(key, []promotion.Listing{{Environment: "acceptance", File: "kustomization.yaml", Entry: "web", Image: name, Tag: "1.0.0"}})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	memory, err := s.Memory(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	pushes, err := s.Pushes(ctx, []image.Name{name}, time.Time{})
	if err != nil || len(pushes) != 1 {
		t.Fatalf("Pushes = %v, %v; want the one", pushes, err)
	}
	if first := memory.FirstSeen[EnvImage{"acceptance", name}]; pushes[0].ReceivedAt.Before(first) {
		t.Errorf("listed since %s, pushed at %s: the push would never be proposed", first, pushes[0].ReceivedAt)
	}
}
