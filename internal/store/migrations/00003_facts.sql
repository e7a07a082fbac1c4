-- +goose Up

-- What images say about themselves, as read from their registries: a cache.
CREATE TABLE facts (
  digest TEXT NOT NULL PRIMARY KEY,
  body TEXT NOT NULL,
  read_at BIGINT NOT NULL
);
CREATE INDEX facts_by_age ON facts (read_at);

-- +goose Down
DROP TABLE facts;
