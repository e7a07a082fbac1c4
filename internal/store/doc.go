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
// There is one SQL text for both engines, SQLite and PostgreSQL, and one suite of tests. What they have no common word for is in type
// dialect: the clock, how a claim passes over rows that another worker is just claiming, how rows are kept from others while they are
// looked at. Times are microseconds since 1970 in UTC, 0 for none; structures are JSON in TEXT, and every text is valid UTF-8 without
// NUL; numbers for people are drawn from the table counters, so that they are small, without gaps, and rise in the order of the commits.
//
// Accept groups: whoever comes while a transaction is being written waits for the next one and shares it, so that many senders cost
// one flush of the disk. Each delivery is still stored or refused alone. A batch is written in about a dozen statements whatever its
// size, because each one costs a way to the database and back.
//
// Work has one more column than DESIGN.md names: due_at, the moment from which a row may be claimed, kept by every write to the row.
// It says in one indexed number what (wanted > done or wake_at ≤ now), back-off and lease say together; a claim reads the head of
// that index whatever the number of rows.
//
// There is no table of releases: a release has no life of its own, and the labels on it differ from one promotion to the next. The
// exact set stands with its promotion, and queryable in promotion_images. A promotion's id is unique within its repo only, because a
// release's id does not contain the repo.
//
// A turn's writes are collected first and written afterwards, in one go: no lock is held while a turn thinks, and where the engine
// asks for it the transaction is simply run again. The claim's token is looked at before the first write and, with its row locked
// until the commit, after the last.
//
// What a person decides (holds above all) does not wait for the turn of the repo that is just running: Operate writes it beside that
// turn and makes another one, which sees it.
//
// A refused delivery, which anyone can send, never keeps a true one out by its id, and each sender has the newest 1,000 of them only.
//
// A push that comes while a turn finds its image in a repo for the first time would concern nobody; SaveListings looks for it, by its
// number and not by a clock, and wakes the repo once more. The counter of the pushes is locked by both, so that they cannot miss each
// other.
//
// Table rollouts has one row for each environment, its newest rollout and what that made run. The table approvals comes with the
// first who keeps something in it.
//
// Table limits has a row for every write at a forge of the last hour, not a number of tokens: only so is no minute above the limit that
// begins in the middle of another one, and all tokens may be spent at once where nobody has written for a while. A token is taken when a
// write begins and comes back a minute, or an hour, after it ended. The line of new pull requests is not kept apart: it is the promotions
// that say until when they wait. Who does not come back within half a minute after that does not keep others waiting.
//
// Table facts is a cache: what a digest names never changes, so whoever read it may write it down, without a claim, and a row that
// was removed because it is old is only read from its registry again.
//
// What registries are asked for has a lease for each registry, so that one replica asks, and a version for each image, with which what was
// found is recorded: who comes second with the same finds, a person's sync beside the poll say, records nothing.
//
// Within a transaction shared rows are locked in one order on every path: images that were polled, the counter of the repos, rows of repos by key, the counters
// of deliveries and pushes, deliveries, tags by name, work by key, the counter of the audit trail. Otherwise PostgreSQL deadlocks. Where
// it does all the same, the transaction that lost is run again.
//
// sqlite::memory: is a temporary file that Close removes, written without flushing. A database in memory has no WAL, and so other
// rules for who waits for whom than what it would stand in for.
//
// # PostgreSQL
//
// Any number of server processes share a database. One brings the schema up to date while the others wait (a session's advisory lock);
// what is there already stays as it is for replicas of the version before, so migrations only add.
//
// Transactions read what is committed, and lock what they decide by; that is cheaper than running them again after conflicts, and it
// leaves one appender of the audit trail at a time: whoever holds the row of its counter. UNIQUE(previous) is the second wall.
//
// Now is the database's clock as this process knows it, and what all times in the database are by. Callers that go by it too do the
// same on every replica, however wrong the clock of its machine is.
//
// A replica that waits looks four times a second whether something is due. LISTEN and NOTIFY would be a little quicker, for one more
// connection of each replica, a lock over the commits of all who notify, and a poll that is needed anyway for what was missed while
// the connection broke and for leases that expire. What arrives at a replica is told to its own workers at once; the poll is only for
// work that all of those are too busy for.
//
// Text is compared byte by byte (COLLATE "C"), as SQLite does: a database's language would sort differently, and an index in its order
// is wrong after an upgrade of the machine's libraries that changes it.
//
// A commit waits for the disk even where the server or the user is set not to wait; who writes synchronous_commit into the URL decides
// for himself. A transaction whose connection broke before its commit is run again; if it broke during the commit nobody knows, the
// caller gets *UnavailableError, and sends again what is then known or done already.
//
// No error and no log holds a password, nor any part of a URL that might be one. The pools are two, for writes and for reads, so that
// people who look at lists do not keep work from being done: 12 connections in all, or pool_max_conns. Sessions have to last, so a
// pooler in between has to be in session mode.
package store
