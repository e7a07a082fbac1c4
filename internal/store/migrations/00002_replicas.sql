-- +goose Up

-- What several replicas need. One of them records at a time what a forge lists.
INSERT INTO counters (name, last) VALUES ('repos', 0);

-- A hold on many images has a long list, and PostgreSQL takes no index entry above 2.7 kB: the key is short.
CREATE TABLE holds_with_key (
  repo TEXT NOT NULL REFERENCES repos (repo) ON DELETE CASCADE,
  environment TEXT NOT NULL,
  images_key TEXT NOT NULL,
  images TEXT NOT NULL,
  reason TEXT NOT NULL,
  actor TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (repo, environment, images_key)
);
INSERT INTO holds_with_key (repo, environment, images_key, images, reason, actor, at)
  SELECT repo, environment, images, images, reason, actor, at FROM holds;
DROP TABLE holds;
ALTER TABLE holds_with_key RENAME TO holds;

-- +goose Down
CREATE TABLE holds_without_key (
  repo TEXT NOT NULL REFERENCES repos (repo) ON DELETE CASCADE,
  environment TEXT NOT NULL,
  images TEXT NOT NULL,
  reason TEXT NOT NULL,
  actor TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (repo, environment, images)
);
INSERT INTO holds_without_key (repo, environment, images, reason, actor, at)
  SELECT repo, environment, images, reason, actor, at FROM holds;
DROP TABLE holds;
ALTER TABLE holds_without_key RENAME TO holds;
DELETE FROM counters WHERE name = 'repos';
