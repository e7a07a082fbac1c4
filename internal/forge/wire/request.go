package wire

// Request is what metrics are made of: one request that was sent, and what came back.
type Request struct {
	Installation int64 // 0: as the App itself, or where the forge has no such thing
	Method       string
	Status       int    // 0: no answer came
	Resource     string // of the limit that was drawn upon: core, graphql, …; empty where the forge does not say
	Remaining    int    // requests left in this window; -1 where the forge does not say
}
