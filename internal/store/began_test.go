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
	now := time.Now().Truncate(time.Millisecond)
	s.clock = func() time.Time { return now }
	key := KeyOf("github", 1)
	if _, err := s.UpsertRepos(ctx, "github", []Repo{{Key: key, Forge: "github", ForgeID: 1, FullName: "acme/infra"}}); err != nil {
		t.Fatal(err)
	}
	name := image.Name("registry.acme.io/shop/web")
	if _, err := s.Accept(ctx, Delivery{Sender: "acme", DeliveryID: "0", Outcome: Stored}, []Push{{Image: name, Tag: "1.0.0"}}, nil); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Millisecond) // and stands still: claim and push are at one moment for a clock this coarse
	claim, err := s.Claim(ctx, "test", time.Minute)
	if err != nil || claim == nil {
		t.Fatalf("Claim = %v, %v; want the new repo", claim, err)
	}
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
	if err != nil || len(pushes) != 2 {
		t.Fatalf("Pushes = %v, %v; want both", pushes, err)
	}
	first := memory.FirstSeen[EnvImage{"acceptance", name}]
	if pushes[0].ReceivedAt.After(first) {
		t.Errorf("listed since %s, pushed at %s before: what was there would be proposed", first, pushes[0].ReceivedAt)
	}
	if !pushes[1].ReceivedAt.After(first) {
		t.Errorf("listed since %s, pushed at %s: the push would never be proposed", first, pushes[1].ReceivedAt)
	}
}
