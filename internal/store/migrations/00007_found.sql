-- +goose Up

-- Whether nobody told of a push: it was found by asking its registry.
ALTER TABLE pushes ADD COLUMN found BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE pushes DROP COLUMN found;
