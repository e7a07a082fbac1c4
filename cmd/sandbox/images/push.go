package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// callTimeout bounds one push, copy, look-up or deletion.
const callTimeout = 30 * time.Second

// Image says what is pushed. The zero value is an image for linux/amd64 whose content is its own name and tag.
type Image struct {
	Content   string            // the one file in the one layer; equal contents under one name and tag have equal digests
	Labels    map[string]string // added to org.opencontainers.image.title, .version and .created, or instead of them
	Created   time.Time         // the Unix epoch by default, so that digests stay the same
	Platforms []string          // os/arch; two or more make an index
}

// Push builds an image, pushes it as repo:tag and returns the digest behind the tag: the index's where there are several platforms.
func (reg *Registry) Push(ctx context.Context, repo, tag string, img Image) (digest string, err error) {
	defer wrap(&err, "push "+repo+":"+tag)
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ref, err := name.NewTag(reg.host + "/" + repo + ":" + tag)
	if err != nil {
		return "", err
	}
	if img.Content == "" {
		img.Content = repo + ":" + tag
	}
	if img.Created.IsZero() {
		img.Created = time.Unix(0, 0).UTC()
	}
	labels := map[string]string{
		"org.opencontainers.image.title":   repo,
		"org.opencontainers.image.version": tag,
		"org.opencontainers.image.created": img.Created.Format(time.RFC3339),
	}
	maps.Copy(labels, img.Labels)
	img.Labels = labels
	if len(img.Platforms) > 1 {
		return reg.pushIndex(ctx, ref, img)
	}
	platform := "linux/amd64"
	if len(img.Platforms) == 1 {
		platform = img.Platforms[0]
	}
	built, err := build(img, platform)
	if err != nil {
		return "", err
	}
	if err := remote.Write(ref, built, reg.options(ctx)...); err != nil {
		return "", err
	}
	return digestOf(built.Digest())
}

func (reg *Registry) pushIndex(ctx context.Context, ref name.Tag, img Image) (string, error) {
	var index v1.ImageIndex = empty.Index
	for _, platform := range img.Platforms {
		child, err := build(img, platform)
		if err != nil {
			return "", err
		}
		parsed, err := v1.ParsePlatform(platform)
		if err != nil {
			return "", err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: child, Descriptor: v1.Descriptor{Platform: parsed}})
	}
	annotated, ok := mutate.Annotations(index, img.Labels).(v1.ImageIndex)
	if !ok {
		return "", errors.New("annotate the index: it is no index any more")
	}
	if err := remote.WriteIndex(ref, annotated, reg.options(ctx)...); err != nil {
		return "", err
	}
	return digestOf(annotated.Digest())
}

// build makes an image of one layer with one file; the platform is part of the content, so that no two children share a digest.
func build(img Image, platform string) (v1.Image, error) {
	parsed, err := v1.ParsePlatform(platform)
	if err != nil {
		return nil, err
	}
	content := []byte(img.Content + "\n" + platform + "\n")
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	header := &tar.Header{Typeflag: tar.TypeReg, Name: "app/content", Mode: 0o644, Size: int64(len(content)), ModTime: img.Created, Format: tar.FormatPAX}
	if err := archive.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := archive.Write(content); err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil }
	packed, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	built, err := mutate.AppendLayers(base, packed)
	if err != nil {
		return nil, err
	}
	config, err := built.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = parsed.OS, parsed.Architecture, parsed.Variant
	config.Created = v1.Time{Time: img.Created}
	config.Config.Labels = img.Labels
	return mutate.ConfigFile(built, config)
}

// Tag puts a further tag on what a tag or digest (sha256:…) names now. A tag that is there already moves.
func (reg *Registry) Tag(ctx context.Context, repo, from, tag string) (err error) {
	defer wrap(&err, "tag "+repo+" "+from+" as "+tag)
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	source, err := reg.reference(repo, from)
	if err != nil {
		return err
	}
	target, err := name.NewTag(reg.host + "/" + repo + ":" + tag)
	if err != nil {
		return err
	}
	described, err := remote.Get(source, reg.options(ctx)...)
	if err != nil {
		return err
	}
	return remote.Tag(target, described, reg.options(ctx)...)
}

// Digest returns the digest behind a tag; ok is false where the registry has no such tag or repository.
func (reg *Registry) Digest(ctx context.Context, repo, tag string) (digest string, ok bool, err error) {
	defer wrap(&err, "resolve "+repo+":"+tag)
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ref, err := reg.reference(repo, tag)
	if err != nil {
		return "", false, err
	}
	described, err := remote.Head(ref, reg.options(ctx)...)
	var refused *transport.Error
	if errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	return described.Digest.String(), true, nil
}

// Delete removes a tag, or with a digest (sha256:…) the manifest and every tag on it.
func (reg *Registry) Delete(ctx context.Context, repo, tagOrDigest string) (err error) {
	defer wrap(&err, "delete "+repo+" "+tagOrDigest)
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ref, err := reg.reference(repo, tagOrDigest)
	if err != nil {
		return err
	}
	return remote.Delete(ref, reg.options(ctx)...)
}

func (reg *Registry) reference(repo, tagOrDigest string) (name.Reference, error) {
	if strings.HasPrefix(tagOrDigest, "sha256:") {
		return name.NewDigest(reg.host + "/" + repo + "@" + tagOrDigest)
	}
	return name.NewTag(reg.host + "/" + repo + ":" + tagOrDigest)
}

func (reg *Registry) options(ctx context.Context) []remote.Option {
	auth := authn.Anonymous
	if reg.opts.Username != "" || reg.opts.Password != "" {
		auth = &authn.Basic{Username: reg.opts.Username, Password: reg.opts.Password}
	}
	return []remote.Option{remote.WithContext(ctx), remote.WithAuth(auth), remote.WithUserAgent("boatlift-sandbox")}
}

func digestOf(hash v1.Hash, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return hash.String(), nil
}

func wrap(err *error, doing string) {
	if *err != nil {
		*err = fmt.Errorf("%s: %w", doing, *err)
	}
}
