package store

import (
	"strconv"

	"github.com/boatlift/boatlift/internal/promotion"
)

// RepoKey is promotion's name for an infra repo, for those who store work and need nothing else of that package.
type RepoKey = promotion.RepoKey

// KeyOf is the key of a repository: the forge's name in boatlift.yaml and the forge's own id.
func KeyOf(forge string, id int64) RepoKey {
	return RepoKey(forge + "/" + strconv.FormatInt(id, 10))
}

// DiscoverKey is the pseudo repo whose work is to look for a forge's installations and their repositories.
func DiscoverKey(forge string) RepoKey { return RepoKey("discover/" + forge) }

// SweepKey is the pseudo repo whose work is to ask a forge for the webhooks that did not arrive.
func SweepKey(forge string) RepoKey { return RepoKey("sweep/" + forge) }
