-- +goose Up

-- Numbers for people: small, without gaps, in the order of the commits. The row is also the lock that makes one appender of many.
CREATE TABLE counters (
  name TEXT NOT NULL PRIMARY KEY,
  last BIGINT NOT NULL
);
INSERT INTO counters (name, last) VALUES ('deliveries', 0), ('pushes', 0), ('audit', 0);

CREATE TABLE deliveries (
  id BIGINT NOT NULL PRIMARY KEY,
  sender TEXT NOT NULL,
  delivery_id TEXT NOT NULL,
  event TEXT NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT NOT NULL,
  about TEXT NOT NULL,
  body BYTEA,
  received_at BIGINT NOT NULL,
  images TEXT NOT NULL,
  repos TEXT NOT NULL
);
CREATE UNIQUE INDEX deliveries_once ON deliveries (sender, delivery_id) WHERE delivery_id <> '';
CREATE INDEX deliveries_by_delivery_id ON deliveries (delivery_id);
CREATE INDEX deliveries_by_age ON deliveries (received_at);
CREATE INDEX deliveries_with_body ON deliveries (received_at) WHERE body IS NOT NULL;
CREATE INDEX deliveries_refused ON deliveries (sender, id) WHERE outcome = 'refused';

-- What a delivery was about: images and keys of repos.
CREATE TABLE delivery_subjects (
  subject TEXT NOT NULL,
  delivery BIGINT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
  PRIMARY KEY (subject, delivery)
);
CREATE INDEX delivery_subjects_by_delivery ON delivery_subjects (delivery);

-- A log. It outlives its deliveries.
CREATE TABLE pushes (
  id BIGINT NOT NULL PRIMARY KEY,
  image TEXT NOT NULL,
  tag TEXT NOT NULL,
  digest TEXT NOT NULL,
  media_type TEXT NOT NULL,
  pushed_at BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  delivery BIGINT NOT NULL
);
CREATE INDEX pushes_by_image ON pushes (image, received_at);
CREATE INDEX pushes_by_age ON pushes (received_at);

CREATE TABLE tags (
  image TEXT NOT NULL,
  tag TEXT NOT NULL,
  digest TEXT NOT NULL,
  first_at BIGINT NOT NULL,
  read_at BIGINT NOT NULL,
  error TEXT NOT NULL,
  PRIMARY KEY (image, tag)
);

CREATE TABLE work (
  repo TEXT NOT NULL PRIMARY KEY,
  wanted BIGINT NOT NULL,
  done BIGINT NOT NULL,
  wake_at BIGINT NOT NULL,
  owner TEXT NOT NULL,
  lease_until BIGINT NOT NULL,
  token BIGINT NOT NULL,
  claimed_at BIGINT NOT NULL,
  attempts BIGINT NOT NULL,
  last_error TEXT NOT NULL,
  not_before BIGINT NOT NULL,
  due_at BIGINT NOT NULL
);
CREATE INDEX work_due ON work (due_at, repo);

CREATE TABLE repos (
  repo TEXT NOT NULL PRIMARY KEY,
  forge TEXT NOT NULL,
  forge_id BIGINT NOT NULL,
  installation BIGINT NOT NULL,
  full_name TEXT NOT NULL,
  name_key TEXT NOT NULL,
  default_branch TEXT NOT NULL,
  clone_url TEXT NOT NULL,
  web_url TEXT NOT NULL,
  merge_method TEXT NOT NULL,
  base_head TEXT NOT NULL,
  config_text TEXT NOT NULL,
  config_error TEXT NOT NULL,
  config_sha TEXT NOT NULL,
  state TEXT NOT NULL,
  state_reason TEXT NOT NULL,
  baseline_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX repos_by_name ON repos (forge, name_key);

CREATE TABLE environments (
  repo TEXT NOT NULL REFERENCES repos (repo) ON DELETE CASCADE,
  place BIGINT NOT NULL,
  name TEXT NOT NULL,
  path TEXT NOT NULL,
  mode TEXT NOT NULL,
  after TEXT NOT NULL,
  PRIMARY KEY (repo, place)
);
CREATE INDEX environments_by_name ON environments (repo, name);

-- after_repo is the name in lower case; empty where the environment stands in the same repo.
CREATE TABLE environment_after (
  repo TEXT NOT NULL REFERENCES repos (repo) ON DELETE CASCADE,
  environment TEXT NOT NULL,
  after_repo TEXT NOT NULL,
  after_environment TEXT NOT NULL,
  PRIMARY KEY (repo, environment, after_repo, after_environment)
);
CREATE INDEX environment_after_by_upstream ON environment_after (after_environment, after_repo);

CREATE TABLE listings (
  repo TEXT NOT NULL REFERENCES repos (repo) ON DELETE CASCADE,
  place BIGINT NOT NULL,
  environment TEXT NOT NULL,
  file TEXT NOT NULL,
  entry TEXT NOT NULL,
  image TEXT NOT NULL,
  tag TEXT NOT NULL,
  digest TEXT NOT NULL,
  refusal TEXT NOT NULL,
  PRIMARY KEY (repo, place)
);
CREATE INDEX listings_by_image ON listings (image, repo);

CREATE TABLE listed_since (
  repo TEXT NOT NULL REFERENCES repos (repo) ON DELETE CASCADE,
  environment TEXT NOT NULL,
  image TEXT NOT NULL,
  first_at BIGINT NOT NULL,
  PRIMARY KEY (repo, environment, image)
);

CREATE TABLE promotions (
  repo TEXT NOT NULL REFERENCES repos (repo) ON DELETE CASCADE,
  id TEXT NOT NULL,
  environment TEXT NOT NULL,
  app TEXT NOT NULL,
  release_id TEXT NOT NULL,
  state TEXT NOT NULL,
  active BIGINT NOT NULL,
  live BIGINT NOT NULL,
  branch TEXT NOT NULL,
  pull_request BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  ended_at BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (repo, id)
);
CREATE UNIQUE INDEX promotions_open_once ON promotions (repo, branch) WHERE active = 1;
CREATE INDEX promotions_of_repo ON promotions (repo, live, ended_at);
CREATE INDEX promotions_by_age ON promotions (created_at, repo, id);
CREATE INDEX promotions_by_id ON promotions (id);

CREATE TABLE promotion_images (
  repo TEXT NOT NULL,
  promotion TEXT NOT NULL,
  image TEXT NOT NULL,
  tag TEXT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (repo, promotion, image),
  FOREIGN KEY (repo, promotion) REFERENCES promotions (repo, id) ON DELETE CASCADE
);
CREATE INDEX promotion_images_by_image ON promotion_images (image);

CREATE TABLE rejections (
  repo TEXT NOT NULL REFERENCES repos (repo) ON DELETE CASCADE,
  environment TEXT NOT NULL,
  image TEXT NOT NULL,
  digest TEXT NOT NULL,
  promotion TEXT NOT NULL,
  actor TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (repo, environment, image, digest, promotion)
);

-- images is a JSON array, sorted; [] is the whole environment.
CREATE TABLE holds (
  repo TEXT NOT NULL REFERENCES repos (repo) ON DELETE CASCADE,
  environment TEXT NOT NULL,
  images TEXT NOT NULL,
  reason TEXT NOT NULL,
  actor TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (repo, environment, images)
);

-- What runs in an environment, by its newest rollout.
CREATE TABLE rollouts (
  repo TEXT NOT NULL REFERENCES repos (repo) ON DELETE CASCADE,
  environment TEXT NOT NULL,
  sha TEXT NOT NULL,
  state TEXT NOT NULL,
  url TEXT NOT NULL,
  images TEXT NOT NULL,
  PRIMARY KEY (repo, environment)
);

CREATE TABLE notes (
  repo TEXT NOT NULL REFERENCES repos (repo) ON DELETE CASCADE,
  place BIGINT NOT NULL,
  environment TEXT NOT NULL,
  image TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (repo, place)
);

CREATE TABLE checks (
  repo TEXT NOT NULL REFERENCES repos (repo) ON DELETE CASCADE,
  pull_request BIGINT NOT NULL,
  head TEXT NOT NULL,
  shown TEXT NOT NULL,
  saved_at BIGINT NOT NULL,
  PRIMARY KEY (repo, pull_request, head)
);
CREATE INDEX checks_by_age ON checks (saved_at);

CREATE TABLE audit (
  seq BIGINT NOT NULL PRIMARY KEY,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  role TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL,
  previous TEXT NOT NULL UNIQUE,
  hash TEXT NOT NULL
);
CREATE INDEX audit_by_subject ON audit (subject, seq);

-- +goose Down
DROP TABLE audit;
DROP TABLE checks;
DROP TABLE notes;
DROP TABLE rollouts;
DROP TABLE holds;
DROP TABLE rejections;
DROP TABLE promotion_images;
DROP TABLE promotions;
DROP TABLE listed_since;
DROP TABLE listings;
DROP TABLE environment_after;
DROP TABLE environments;
DROP TABLE repos;
DROP TABLE work;
DROP TABLE tags;
DROP TABLE pushes;
DROP TABLE delivery_subjects;
DROP TABLE deliveries;
DROP TABLE counters;
