// Package gitrepo reads and writes a remote git repository over HTTP without a clone.
//
// It asks the server for one commit, the trees along the paths that matter and the few blobs in them, changes the hashes in the
// raw trees, and pushes a pack of only the new objects, for any number of branches in one request. What a promotion costs
// depends on the depth of the path, never on the size or the history of the repository.
//
// # Promises
//
//   - Everything exported is safe for concurrent use. A Client is made once per process; a Remote is a cheap value over state
//     that the Client keeps per repository, so it may be made anew for every turn.
//   - The server is not trusted. Every response has a byte cap, an object cap and a time-out; every object is hashed before it
//     is used or cached; parsers of trees, commits, packs and packet lines are bounds-checked and fuzzed.
//   - The old value of a branch is a lease that the server checks under the ref's lock: a stale one changes nothing and gives
//     ErrStale, and never spoils the other branches of the same push.
//   - A commit's hash depends only on the update (parent, files, message, people, time, signing key). So a push that is repeated after a
//     crash makes the same commits, and finding them there already counts as success.
//   - Only named bytes change. Sibling entries keep their bytes, also old-fashioned modes; an existing file keeps its mode.
//   - Symbolic links, submodules, LFS pointers, SHA-256 repositories and paths with ".." or ".git" are refused with a reason.
//   - What is kept on disk is a cache and nothing else: an object is believed only if its content has its name, so a torn write, a
//     full disk and a foreign hand cost requests and change nothing.
//   - Credentials go only into the Authorization header of the repository's own origin. They are in no URL, log or error; even
//     text that a server echoes is searched for them.
//
// What changes in a file is kustomize's work, whose turn it is reconcile's, and opening pull requests is the forge's.
//
// # How it asks
//
// Protocol version 2 is tried first without asking what the server can do: a listing is then one request and holds only the
// references that are asked for. A server that does not answer it is asked for its advertisement and spoken to in version 0. Each
// fetch walks a ladder of filters, the cheapest first; what a host refuses is remembered for the host, what is too large for
// a repository is remembered for the repository. Version 0 sends a filter only where one is advertised: stock git answers an
// unadvertised one with an empty success.
//
// # Decisions
//
//   - go-git gives the messages of version 0 (packp), the filter grammar and delta search. The HTTP requests are our own
//     rather than transport/http sessions: those speak no version 2, read error bodies without a limit and lose Retry-After.
//   - Packs are read by our own reader, because go-git's parser keeps no limit on declared sizes and counts; deltas are
//     resolved in the order of arrival, without recursion.
//   - The object cache is divided by repository, although objects are content-addressed: a hostile repository that names a blob
//     of another one must not be given its content. Within a process, all who make a Remote of one address are taken to have
//     the same rights.
//   - The cache on disk is one file per repository, appended to and read as a whole, rather than a file per object: no index to hold
//     in memory, nothing to repair, and a restart costs one read. It is not synced, because nothing in it is believed unseen.
//   - When the base branch has moved, the fetch says "have the old base" without "shallow": with it, a merge of a branch made
//     before the old base would bring the whole history below. Objects the server wrongly thinks we have are fetched by hash.
//   - Redirects are followed only for GET and only on the same host name: a repository that moves to another host is a decision for
//     people. Credentials stay only on the same origin, or when http becomes https on the default ports.
//   - Times in commits are written in UTC, so that the same instant gives the same hash on every machine.
package gitrepo
