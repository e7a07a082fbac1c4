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
		_, picture, err := pictured(ctx, pull, repository, repository.Tag(tag))
		if err != nil || picture == nil {
			return err
		}
		manifest, err := picture.Manifest()
		if err != nil {
			return err
		}
		config, err := configured(picture, manifest)
		if err != nil || config == nil {
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
