package store

import (
	"reflect"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
)

var factsTests = []test{
	{"what an image says of itself comes back as it was", func(t *testing.T, s *Store) {
		said := map[image.Digest]image.Facts{
			digest(2): {},
			digest(3): {Platforms: []string{"linux/amd64", "linux/arm64/v8"}},
		}
		for i := range 70 { // more than one statement takes
			said[digest(100+i)] = image.Facts{
				Source: "https://github.com/acme/web", Revision: "0e2a89b", Version: "1.4.2", URL: "https://acme.io/\"quoted\"",
				Created: time.Date(2026, 3, 2, 9, 0, i, 0, time.UTC),
			}
		}
		must(t, s.SaveFacts(t.Context(), said))
		must(t, s.SaveFacts(t.Context(), nil))
		asked := []image.Digest{digest(1), digest(2), digest(2)}
		for d := range said {
			asked = append(asked, d)
		}
		if got := must1(s.Facts(t.Context(), asked))(t); !reflect.DeepEqual(got, said) {
			t.Errorf("Facts() = %+v; want %+v", got, said)
		}
		if got := must1(s.Facts(t.Context(), nil))(t); len(got) != 0 {
			t.Errorf("Facts(nothing) = %+v", got)
		}
	}},
	{"facts that nobody read for long are forgotten", func(t *testing.T, s *Store) {
		clock := stop(s)
		must(t, s.SaveFacts(t.Context(), map[image.Digest]image.Facts{digest(1): {Version: "1"}, digest(2): {Version: "2"}}))
		clock.move(60 * 24 * time.Hour)
		must(t, s.SaveFacts(t.Context(), map[image.Digest]image.Facts{digest(2): {Version: "two"}}))
		clock.move(40 * 24 * time.Hour)
		must(t, second(s.Purge(t.Context(), DefaultRetention())))
		want := map[image.Digest]image.Facts{digest(2): {Version: "two"}}
		if got := must1(s.Facts(t.Context(), []image.Digest{digest(1), digest(2)}))(t); !reflect.DeepEqual(got, want) {
			t.Errorf("Facts() = %+v; want %+v", got, want)
		}
	}},
}
