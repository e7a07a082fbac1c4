-- +goose Up

-- What test systems outside of the forge say of images in an environment. images is a JSON object of digests by name, sorted. Of each
-- name and set of images the newest word stays; all that was said is in the audit trail.
CREATE TABLE verifications (
  repo TEXT NOT NULL REFERENCES repos (repo) ON DELETE CASCADE,
  environment TEXT NOT NULL,
  name TEXT NOT NULL,
  images_key TEXT NOT NULL,
  images TEXT NOT NULL,
  passed BIGINT NOT NULL,
  url TEXT NOT NULL,
  actor TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (repo, environment, name, images_key)
);
CREATE INDEX verifications_by_age ON verifications (at);

-- What else is known of what runs: a JSON object.
ALTER TABLE rollouts ADD COLUMN more TEXT NOT NULL DEFAULT '{}';

-- +goose Down
ALTER TABLE rollouts DROP COLUMN more;
DROP TABLE verifications;
