// Package store is the database: the inbox of webhooks, the work that they make, what is known of every infra repo, the promotions
// and the audit trail.
//
// Promises:
//   - What Accept acknowledged is on the disk, with its image pushes and the work it makes, in one transaction. Where that cannot be
//     had the caller gets *UnavailableError and nothing is kept.
//   - One repo is in one worker's hands at a time. A claim carries a token that rises with every claim; everything a turn writes
//     demands it, so a worker that lost its lease writes nothing, however late it comes back.
//   - An event that arrives during a turn makes another turn.
//   - A promotion cannot be open twice: the database refuses a second active one on the same branch.
//   - The audit trail is append-only, and a change to any entry shows.
//
// A Store is safe for concurrent use. It decides nothing: what is worth recording, and what follows from it, is its callers' work.
//
// # Decisions
//
// There is one SQL text for both engines. What they have no common word for is in type dialect: the clock, and how a claim passes
// over rows that another worker is just claiming. Times are microseconds since 1970 in UTC, 0 for none; structures are JSON in TEXT;
// numbers for people are drawn from the table counters, so that they are small, without gaps, and rise in the order of the commits.
//
// Accept groups: whoever comes while a transaction is being written waits for the next one and shares it, so that many senders cost
// one flush of the disk. Each delivery is still stored or refused alone.
//
// Work has one more column than DESIGN.md names: due_at, the moment from which a row may be claimed, kept by every write to the row.
// It says in one indexed number what (wanted > done or wake_at ≤ now), back-off and lease say together; a claim reads the head of
// that index whatever the number of rows.
//
// There is no table of releases: a release has no life of its own, and the labels on it differ from one promotion to the next. The
// exact set stands with its promotion, and queryable in promotion_images. A promotion's id is unique within its repo only, because a
// release's id does not contain the repo.
//
// Within a transaction shared rows are locked in one order on every path: deliveries, rows of the own repo, tags by name, work by
// key, audit. Otherwise PostgreSQL deadlocks.
//
// sqlite::memory: is a temporary file that Close removes, written without flushing. A database in memory has no WAL, and so other
// rules for who waits for whom than what it would stand in for.
package store
