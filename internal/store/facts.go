package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/boatlift/boatlift/internal/image"
)

// Facts gives what is known that images say about themselves, by digest. What was never saved, or too long ago, is missing.
func (s *Store) Facts(ctx context.Context, digests []image.Digest) (facts map[image.Digest]image.Facts, err error) {
	err = s.read(ctx, "read what images say of themselves", func(ctx context.Context, q *conn) error {
		facts = map[image.Digest]image.Facts{}
		return q.eachOf(ctx, func(r row) error {
			var digest image.Digest
			var body []byte
			if err := r.Scan(&digest, &body); err != nil {
				return err
			}
			var f image.Facts
			if err := json.Unmarshal(body, &f); err != nil {
				return fmt.Errorf("facts of %s: %w", digest, err)
			}
			facts[digest] = f
			return nil
		}, `SELECT digest, body FROM facts WHERE digest IN (`, `?`, `)`, anys(sortedSet(digests)))
	})
	return facts, err
}

// SaveFacts keeps what images say about themselves, as their registries showed it.
func (s *Store) SaveFacts(ctx context.Context, facts map[image.Digest]image.Facts) error {
	if len(facts) == 0 {
		return nil
	}
	var rows []any
	for _, digest := range slices.Sorted(maps.Keys(facts)) {
		body, err := json.Marshal(facts[digest])
		if err != nil {
			return fmt.Errorf("facts of %s: %w", digest, err)
		}
		rows = append(rows, string(digest), storable(string(body)))
	}
	return s.write(ctx, "write down what images say of themselves", func(ctx context.Context, q *conn) error {
		return q.many(ctx, `INSERT INTO facts (digest, body, read_at) VALUES `, `(?, ?, {now})`,
			` ON CONFLICT (digest) DO UPDATE SET body = excluded.body, read_at = excluded.read_at`, rows)
	})
}
