package gitrepo

import (
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

// filterKind is what is remembered about a host: whether it does this kind of filter.
type filterKind uint8

const (
	filterNone       filterKind = iota // everything below the wanted objects
	filterTreeLevels                   // trees to a depth, no blobs
	filterTrees                        // all trees, no blobs
	filterSmallBlobs                   // all trees, and blobs up to smallBlob
	filterOnlyWanted                   // a wanted tree alone; of a wanted commit not even its tree
)

// smallBlob is the size in KiB up to which blobs come along unasked: kustomizations and manifests, not images and archives.
const smallBlob = 64

// filter is a filter and, for filterTreeLevels, its depth.
type filter struct {
	kind   filterKind
	levels int
}

// spec is the filter as git spells it.
func (f filter) spec() packp.Filter {
	switch f.kind {
	case filterTreeLevels:
		return packp.Filter("combine:blob:none+" + string(packp.FilterTreeDepth(uint64(f.levels))))
	case filterTrees:
		return packp.FilterBlobNone()
	case filterSmallBlobs:
		return packp.FilterBlobLimit(smallBlob, packp.BlobLimitPrefixKibi)
	case filterOnlyWanted:
		return packp.FilterTreeDepth(0)
	}
	return ""
}

// rung is one try of a ladder: a filter, and the number of objects above which the next rung is cheaper.
type rung struct {
	filter filter
	brake  int // 0: none but the client's cap
}

// hugeAnswer is a kind of answer that hit its brake: by filter, and whether commits or trees were wanted.
type hugeAnswer struct {
	kind   filterKind
	commit bool
}

// climb tries the rungs until one brings the objects. A kind of filter that the host refuses is left out for the host from then
// on, and all filters for a repository that offers none, but only once a later rung worked, so that a server in trouble teaches
// nothing. A rung that hit its brake is left out for the repository.
func (r *Remote) climb(ctx context.Context, q request, rungs []rung) (map[oid]object, error) {
	refused := make(map[filterKind]bool)
	noFilters := false
	var last error
	for _, g := range rungs {
		if r.skips(q, g) || refused[g.filter.kind] || noFilters && g.filter.kind != filterNone {
			continue
		}
		q.filter, q.maxObjects = g.filter, g.brake
		objs, err := r.fetch(ctx, q)
		var brake *TooLargeError
		switch {
		case err == nil:
			r.learn(refused, noFilters)
			return objs, nil
		case errors.Is(err, errNoFilters):
			noFilters = true
		case errors.Is(err, errFilterRefused):
			refused[g.filter.kind] = true
		case errors.As(err, &brake) && g.brake > 0:
			if len(q.haves) == 0 { // how far a branch has moved says nothing about the next time
				r.repo.mu.Lock()
				r.repo.huge[hugeAnswer{g.filter.kind, q.shallow}] = true
				r.repo.mu.Unlock()
			}
			last = err
		default:
			return nil, err
		}
	}
	if last == nil {
		last = &ProtocolError{r.repo.address().Host, opFetch, "the server refuses every kind of fetch"}
	}
	return nil, last
}

func (r *Remote) learn(refused map[filterKind]bool, noFilters bool) {
	r.host.mu.Lock()
	for k := range refused {
		r.host.refused[k] = true
	}
	r.host.mu.Unlock()
	if noFilters {
		r.repo.mu.Lock()
		r.repo.filter = notOffered
		r.repo.mu.Unlock()
	}
}

func (r *Remote) skips(q request, g rung) bool {
	r.host.mu.Lock()
	refused := r.host.refused[g.filter.kind]
	r.host.mu.Unlock()
	r.repo.mu.Lock()
	defer r.repo.mu.Unlock()
	return refused || g.brake > 0 && len(q.haves) == 0 && r.repo.huge[hugeAnswer{g.filter.kind, q.shallow}]
}
