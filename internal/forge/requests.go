package forge

import (
	"context"
	"net/http"
	"sync/atomic"
)

// Requests counts what an adapter sends for one call of a Forge, for whoever keeps to the forge's limits.
type Requests struct{ all, writes atomic.Int64 }

// Writes are the requests that made or changed something, as limits on content count them. known is false where the adapter sent nothing,
// or does not tell.
func (r *Requests) Writes() (n int, known bool) { return int(r.writes.Load()), r.all.Load() > 0 }

type requestsKey struct{}

// CountRequests gives a context in which the requests of one call are counted.
func CountRequests(ctx context.Context) (context.Context, *Requests) {
	r := &Requests{}
	return context.WithValue(ctx, requestsKey{}, r), r
}

// Sending is called by adapters for every request that they send.
func Sending(ctx context.Context, method string) {
	r, ok := ctx.Value(requestsKey{}).(*Requests)
	if !ok {
		return
	}
	r.all.Add(1)
	switch method {
	case http.MethodPost, http.MethodPatch, http.MethodPut:
		r.writes.Add(1)
	}
}
