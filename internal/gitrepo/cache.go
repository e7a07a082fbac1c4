package gitrepo

import (
	"container/list"
	"sync"
)

// objectOverhead is about what an object costs in the cache beyond its bytes: key, list element, map slot, slice headers.
const objectOverhead = 200

// objectCache holds recently used objects of all repositories within one bound of bytes. The least recently used leave first.
type objectCache struct {
	limit int64

	mu      sync.Mutex
	size    int64
	lost    int64      // objects that were pushed out, ever
	order   *list.List // of *cacheEntry, most recently used in front
	entries map[cacheKey]*list.Element
}

// cacheKey has the repository in it so that no repository can name another one's objects.
type cacheKey struct {
	repo uint64
	id   oid
}

type cacheEntry struct {
	key cacheKey
	obj object
}

func newObjectCache(limit int64) *objectCache {
	return &objectCache{limit: limit, order: list.New(), entries: make(map[cacheKey]*list.Element)}
}

func (c *objectCache) get(k cacheKey) (object, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.entries[k]
	if !ok {
		return object{}, false
	}
	c.order.MoveToFront(el)
	return el.Value.(*cacheEntry).obj, true
}

// put keeps an object whose name the caller has checked. One that would push out a quarter of the rest is not kept.
func (c *objectCache) put(k cacheKey, o object) {
	cost := int64(cap(o.data)) + objectOverhead
	if cost > c.limit/4 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.entries[k]; ok {
		c.order.MoveToFront(el)
		return
	}
	c.entries[k] = c.order.PushFront(&cacheEntry{k, o})
	c.size += cost
	for c.size > c.limit {
		last := c.order.Back()
		e := c.order.Remove(last).(*cacheEntry)
		delete(c.entries, e.key)
		c.lost++
		c.size -= int64(cap(e.obj.data)) + objectOverhead
	}
}

// pushedOut is how many objects have left until now.
func (c *objectCache) pushedOut() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

// usage is the number of objects held and the bytes they are counted as.
func (c *objectCache) usage() (objects int, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries), c.size
}
