// Package polling asks registries which tags the images have that environments run, and stores what no webhook told of.
//
// A webhook can be lost: its sender may send once only, or forget while nobody listens. A Poller lists the tags of every image that an
// environment lists, now and then, and compares them with what it heard and what it saw before. A tag that is new, or one that moved,
// becomes a push of the store's, exactly as if its registry had told of it; what follows from a push is not this package's matter.
//
// Promises:
//   - What was at a registry when an image was asked for the first time is the baseline, and nothing is stored of it. Only Sync, which a
//     person asks for, brings what lies before it.
//   - Of all replicas of a bot one asks a registry at a time. What was found is stored once, with the state of the image that it was found
//     against; whoever looks at the same image at the same time stores nothing.
//   - A registry is left alone for as long as it wants, and before it has to refuse: the last tenth of what it allows is for others. One
//     that cannot be asked is left alone longer each time, and never keeps another one waiting; one image that cannot be read keeps no
//     other image waiting.
//   - Work is bounded: a listing is one question for a thousand tags, and of those only the few that matter are asked where they point.
//
// A Poller is safe for concurrent use. Run owns a goroutine for each registry.
//
// # Decisions
//
// Where a tag points is asked by HEAD only for tags that kustomizations have or that run, for those in open pull requests, for followed
// ones, and for the highest by each rule. That an old tag, which nobody uses, was moved is not noticed, and need not be.
//
// A HEAD carries no mark of its own: its answer has no body that could be saved.
//
// A tag that was deleted and comes back is new, as its push may have been lost.
//
// What comes to light at once is stored in the order in which it would have been told of: by when the images were built where a rule goes
// by time, else by the numbers in the tags.
//
// Where many share a registry, most images are other people's, and nobody who wrote a webhook for his own wants to be told of theirs:
// unless boatlift.yaml says how often to poll it, only owners count of whom a webhook told.
//
// A registry of boatlift.yaml without a host, whose webhooks say where they come from, is not polled: nobody could tell whom to ask.
package polling
