package store

import (
	"reflect"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

var verificationsTests = []test{
	{"of a name and its digests the newest verification counts, until it is old", func(t *testing.T, s *Store) {
		clock := stop(s)
		discover(t, s, infra(production, "acme/infra-production"))
		say := func(name string, passed bool, at time.Time, images map[image.Name]image.Digest) promotion.Verification {
			v := promotion.Verification{
				Environment: "production", Name: name, Images: images, Passed: passed, URL: "https://ci/" + name, Actor: "nightly", At: at,
			}
			must(t, s.Operate(t.Context(), production, func(tx *Tx) error { tx.AddVerification(v); return nil }))
			return v
		}
		one, both := map[image.Name]image.Digest{web: digest(1)}, map[image.Name]image.Digest{web: digest(1), worker: digest(2)}
		say("smoke", false, clock.now(), one)
		green := say("smoke", true, clock.now().Add(time.Second), one)
		say("smoke", false, clock.now().Add(-time.Hour), one) // arrives late
		other := say("smoke", false, clock.now(), both)
		load := say("load", true, clock.now().Add(-time.Minute), one)
		want := []promotion.Verification{green, other, load}
		if got := must1(s.Memory(t.Context(), production))(t).Verifications; !reflect.DeepEqual(got, want) {
			t.Errorf("Verifications = %+v\nwant %+v", got, want)
		}
		if err := s.Operate(t.Context(), production, func(tx *Tx) error {
			tx.AddVerification(promotion.Verification{Environment: "production", Name: "smoke"})
			return nil
		}); err == nil {
			t.Error("a verification of nothing was taken")
		}
		clock.move(91 * 24 * time.Hour)
		if got := must1(s.Memory(t.Context(), production))(t).Verifications; got != nil {
			t.Errorf("after 91 days Verifications = %+v", got)
		}
		if n := must1(s.Purge(t.Context(), DefaultRetention()))(t); n != 3 {
			t.Errorf("Purge() = %d; want 3", n)
		}
	}},
}
