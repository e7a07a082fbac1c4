package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/boatlift/boatlift/internal/promotion"
)

// verificationsMost is how many verifications of a repo are remembered at a time, the newest.
const verificationsMost = 1000

// AddVerification records what a test system says of images. It takes the place of what was said under the same name of just these
// images at these digests, unless that is newer.
func (tx *Tx) AddVerification(v promotion.Verification) {
	tx.add(func(ctx context.Context, _ *Store, q *conn) error {
		if len(v.Images) == 0 || v.Name == "" {
			return errors.New("a verification has no name, or no images")
		}
		images, err := json.Marshal(v.Images) // sorted by name
		if err != nil {
			return fmt.Errorf("verification %s: %w", v.Name, err)
		}
		sum := sha256.Sum256(images)
		_, err = q.exec(ctx, `INSERT INTO verifications (repo, environment, name, images_key, images, passed, url, actor, at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (repo, environment, name, images_key)
			DO UPDATE SET passed = excluded.passed, url = excluded.url, actor = excluded.actor, at = excluded.at WHERE verifications.at <= excluded.at`,
			string(tx.repo), v.Environment, plain(v.Name, 200), hex.EncodeToString(sum[:]), string(images), bit(v.Passed), plain(v.URL, 2000), plain(v.Actor, 200), micros(v.At))
		return err
	})
}

func selectVerifications(ctx context.Context, q *conn, repo string) (list []promotion.Verification, err error) {
	err = q.each(ctx, func(r row) error {
		var v promotion.Verification
		var images []byte
		var passed, at int64
		if err := r.Scan(&v.Environment, &v.Name, &images, &passed, &v.URL, &v.Actor, &at); err != nil {
			return err
		}
		if err := json.Unmarshal(images, &v.Images); err != nil {
			return fmt.Errorf("read verification %s: %w", v.Name, err)
		}
		v.Passed, v.At = passed == 1, instant(at)
		list = append(list, v)
		return nil
	}, `SELECT environment, name, images, passed, url, actor, at FROM verifications WHERE repo = $1 AND at >= {now} - $2
		ORDER BY at DESC, environment, name, images_key LIMIT $3`, repo, rememberFor.Microseconds(), verificationsMost)
	return list, err
}

// moreRunning is what is known of what runs beside what has a column of its own.
type moreRunning struct {
	Newest string            `json:"newest,omitempty"`
	At     time.Time         `json:"at,omitzero"`
	Says   string            `json:"says,omitempty"`
	Proofs []promotion.Proof `json:"proofs,omitempty"`
}

func moreOf(r promotion.Running) moreRunning { return moreRunning{r.Newest, r.At, r.Says, r.Proofs} }
