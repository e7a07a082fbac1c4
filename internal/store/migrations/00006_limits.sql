-- +goose Up

-- The writes at a forge that the last hour let through: a token for each, which comes back a minute (an hour) after at. While a write is
-- under way, at is when it will have ended at the latest.
CREATE TABLE limits (
  installation TEXT NOT NULL,
  id BIGINT NOT NULL,
  writes BIGINT NOT NULL,
  at BIGINT NOT NULL,
  under_way BIGINT NOT NULL,
  PRIMARY KEY (installation, id)
);
INSERT INTO counters (name, last) VALUES ('limits', 0);

-- When a promotion that waits for its pull request asks again; 0: it does not wait.
ALTER TABLE promotions ADD COLUMN waits_until BIGINT NOT NULL DEFAULT 0;
CREATE INDEX promotions_in_line ON promotions (repo, created_at) WHERE waits_until > 0;

-- +goose Down
DROP INDEX promotions_in_line;
ALTER TABLE promotions DROP COLUMN waits_until;
DELETE FROM counters WHERE name = 'limits';
DROP TABLE limits;
