-- +goose Up

-- Whose turn it is to ask a registry for tags. One row for each registry of boatlift.yaml that is polled.
CREATE TABLE polls (
  registry TEXT NOT NULL PRIMARY KEY,
  owner TEXT NOT NULL,
  lease_until BIGINT NOT NULL,
  token BIGINT NOT NULL,
  not_before BIGINT NOT NULL,
  attempts BIGINT NOT NULL,
  reason TEXT NOT NULL
);

-- What a registry said last of an image's tags. tags has one in a line; digests is a JSON object of those that matter.
CREATE TABLE polled (
  image TEXT NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL,
  polled_at BIGINT NOT NULL,
  tried_at BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  pushes BIGINT NOT NULL,
  mark TEXT NOT NULL,
  tags TEXT NOT NULL,
  digests TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  error TEXT NOT NULL
);

-- +goose Down
DROP TABLE polled;
DROP TABLE polls;
