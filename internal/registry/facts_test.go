package registry

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/boatlift/boatlift/internal/image"
)

func TestFacts(t *testing.T) {
	r := newRig(t)
	labelled, err := mutate.Config(anImage(t), v1.Config{Labels: map[string]string{
		"org.opencontainers.image.source":   "https://github.com/acme/web",
		"org.opencontainers.image.revision": "0e2a89b191332bb87b4f2fefef2f597eba2197b3",
		"org.opencontainers.image.version":  "1.4.2\n<script>",
		"org.opencontainers.image.url":      "javascript:alert(1)",
		"org.opencontainers.image.created":  "2026-03-02T10:00:00+01:00",
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := image.Facts{
		Source: "https://github.com/acme/web", Revision: "0e2a89b191332bb87b4f2fefef2f597eba2197b3",
		Created: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
	}
	client := newTestClient(t, Options{})
	digest := r.push(t, "shop/web", "1", labelled)
	if got, err := client.Facts(t.Context(), r.name("shop/web"), digest); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Facts = %+v, %v; want %+v", got, err, want)
	}
	r.requests()
	if got, err := client.Facts(t.Context(), r.name("shop/web"), digest); err != nil || !reflect.DeepEqual(got, want) || len(r.requests()) != 0 {
		t.Errorf("Facts again = %+v, %v; want %+v without a request", got, err, want)
	}

	attestation := mutate.MediaType(anImage(t), types.OCIManifestSchema1)
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: attestation, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}},
		mutate.IndexAddendum{Add: anImage(t), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
		mutate.IndexAddendum{Add: labelled, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
	)
	index = mutate.Annotations(index, map[string]string{"org.opencontainers.image.version": "1.4.2", "org.opencontainers.image.revision": ""}).(v1.ImageIndex)
	ref, err := name.ParseReference(r.host + "/shop/multi:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		t.Fatal(err)
	}
	hash, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	want.Version, want.Platforms = "1.4.2", []string{"linux/amd64", "linux/arm64"}
	if got, err := client.Facts(t.Context(), r.name("shop/multi"), image.Digest(hash.String())); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Facts of an index = %+v, %v; want %+v", got, err, want)
	}
	silent := r.push(t, "shop/silent", "1", anImage(t))
	if got, err := client.Facts(t.Context(), r.name("shop/silent"), silent); err != nil || !reflect.DeepEqual(got, image.Facts{}) {
		t.Errorf("Facts of an image that says nothing = %+v, %v", got, err)
	}
}

func TestPlatformsOfOneImage(t *testing.T) {
	r := newRig(t)
	client := newTestClient(t, Options{})
	for _, test := range []struct {
		config v1.ConfigFile
		want   []string
	}{
		{v1.ConfigFile{OS: "linux", Architecture: "arm64", Variant: "v8"}, []string{"linux/arm64/v8"}},
		{v1.ConfigFile{OS: "windows", Architecture: "amd64"}, []string{"windows/amd64"}},
		{v1.ConfigFile{}, nil},
		{v1.ConfigFile{OS: "linux\n", Architecture: "amd64"}, nil},
	} {
		built, err := mutate.ConfigFile(anImage(t), &test.config)
		if err != nil {
			t.Fatal(err)
		}
		got, err := client.Facts(t.Context(), r.name("shop/web"), r.push(t, "shop/web", "1", built))
		if err != nil || !slices.Equal(got.Platforms, test.want) {
			t.Errorf("an image for %s/%s is for %v, %v; want %v", test.config.OS, test.config.Architecture, got.Platforms, err, test.want)
		}
	}
}

func TestFactsOfAnotherManifestAreRefused(t *testing.T) {
	r := newRig(t)
	digest := r.push(t, "shop/web", "1", anImage(t))
	r.push(t, "shop/web", "2", anImage(t))
	r.serve(func(w http.ResponseWriter, request *http.Request) {
		request.URL.Path = strings.Replace(request.URL.Path, string(digest), "2", 1)
		r.inner.ServeHTTP(w, request)
	})
	if got, err := newTestClient(t, Options{}).Facts(t.Context(), r.name("shop/web"), digest); err == nil {
		t.Errorf("Facts = %+v; want an error, as the answer has another digest", got)
	}
}

func TestFactsCacheIsBounded(t *testing.T) {
	var cache factsCache
	id := func(i int) image.Digest { return image.Digest(fmt.Sprint("sha256:", i)) }
	for i := range 3 * maxFacts {
		cache.put(id(i), image.Facts{Version: fmt.Sprint(i)})
		cache.put(id(i), image.Facts{Version: "again"})
	}
	if len(cache.byID) != maxFacts || len(cache.ring) != maxFacts {
		t.Errorf("cache has %d, ring %d; want %d", len(cache.byID), len(cache.ring), maxFacts)
	}
	if _, ok := cache.get(id(2*maxFacts - 1)); ok {
		t.Error("the oldest is still there")
	}
	if facts, ok := cache.get(id(2 * maxFacts)); !ok || facts.Version != fmt.Sprint(2*maxFacts) {
		t.Errorf("the newest are %+v, %v", facts, ok)
	}
}
