package registry

import (
	"context"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/boatlift/boatlift/internal/image"
)

// Created tells when what a tag names was built, by the image's own configuration; of an image for several platforms, by that of one of
// them. It is zero where the image does not say, which those do that are built so that they are the same each time. The errors
// are those of Resolve.
func (c *Client) Created(ctx context.Context, of image.Name, tag string) (created time.Time, err error) {
	if err := image.CheckTag(tag); err != nil {
		return time.Time{}, err
	}
	err = c.ask(ctx, of, tag, func(ctx context.Context, pull *puller, repository name.Repository) error {
		created = time.Time{}
		found, err := pull.Get(ctx, repository.Tag(tag))
		if err != nil {
			return err
		}
		if found.MediaType.IsIndex() {
			index, err := found.ImageIndex()
			if err != nil {
				return err
			}
			manifest, err := index.IndexManifest()
			if err != nil {
				return err
			}
			child, ok := speaker(manifest.Manifests)
			if !ok {
				return nil
			}
			if found, err = pull.Get(ctx, repository.Digest(child.String())); err != nil {
				return err
			}
		}
		if !found.MediaType.IsImage() {
			return nil
		}
		picture, err := found.Image()
		if err != nil {
			return err
		}
		manifest, err := picture.Manifest()
		if err != nil || !manifest.Config.MediaType.IsConfig() || manifest.Config.Size > maxConfig {
			return err
		}
		config, err := picture.ConfigFile()
		if err != nil {
			return err
		}
		created = checkTime(config.Created.Time)
		return nil
	})
	if created.Unix() == 0 { // what reproducible builds write
		created = time.Time{}
	}
	return created, err
}
