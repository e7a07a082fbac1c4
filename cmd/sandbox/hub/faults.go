package hub

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Faults is how the forge misbehaves. The zero value is a forge that does not. "Every" counts matching calls or webhooks from the
// moment the switches were set: 1 is each of them, 3 the third, sixth and so on, 0 none.
type Faults struct {
	// Match narrows API faults (ErrorEvery, LimitEvery, Latency) to calls whose "METHOD /path" contains it, below the API's root or
	// the forge's for git; empty: all.
	Match string `json:"match,omitempty"`
	// Times ends ErrorEvery and LimitEvery after so many faults; 0: never.
	Times int `json:"times,omitempty"`

	Latency time.Duration `json:"latency,omitempty"` // added to every matching call

	ErrorEvery  int  `json:"errorEvery,omitempty"`
	ErrorStatus int  `json:"errorStatus,omitempty"` // 502 by default; -1 closes the connection without an answer
	ErrorAfter  bool `json:"errorAfter,omitempty"`  // the call takes effect first

	LimitEvery  int           `json:"limitEvery,omitempty"`
	LimitKind   string        `json:"limitKind,omitempty"`   // primary, or secondary by default
	LimitStatus int           `json:"limitStatus,omitempty"` // 403 by default, or 429; GitLab's is always 429
	RetryAfter  time.Duration `json:"retryAfter,omitempty"`  // 0: without the header. A primary limit has its reset then, and never the header

	// HourlyLimit, ContentPerMinute and ContentPerHour are enforced for each installation; 0: not.
	HourlyLimit      int `json:"hourlyLimit,omitempty"`
	ContentPerMinute int `json:"contentPerMinute,omitempty"`
	ContentPerHour   int `json:"contentPerHour,omitempty"`

	ListLag      time.Duration `json:"listLag,omitempty"`      // lists of pull requests show the state of so long ago
	MergeUnknown int           `json:"mergeUnknown,omitempty"` // so many reads of a pull request do not know yet whether it merges

	LoseWebhooks    int           `json:"loseWebhooks,omitempty"`    // recorded as failed, can be redelivered
	ForgetWebhooks  int           `json:"forgetWebhooks,omitempty"`  // not even recorded
	DelayWebhooks   int           `json:"delayWebhooks,omitempty"`   // late by WebhookDelay
	WebhookDelay    time.Duration `json:"webhookDelay,omitempty"`    // one second by default
	DoubleWebhooks  int           `json:"doubleWebhooks,omitempty"`  // sent twice under one GUID
	ReorderWebhooks int           `json:"reorderWebhooks,omitempty"` // the one after it goes first
}

// faultState is the switches and their counters; guarded by Hub.mu.
type faultState struct {
	set                Faults
	calls, hooks, sent int
	done               int            // faults so far, for Times
	unknown            map[string]int // pull request and commits → reads that did not know
}

// SetFaults changes how the forge misbehaves, from now on.
func (h *Hub) SetFaults(f Faults) {
	if f.WebhookDelay == 0 {
		f.WebhookDelay = time.Second
	}
	if f.ErrorStatus == 0 {
		f.ErrorStatus = http.StatusBadGateway
	}
	if f.LimitStatus == 0 {
		f.LimitStatus = http.StatusForbidden
		if h.opts.GitLab != "" {
			f.LimitStatus = http.StatusTooManyRequests
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = faultState{set: f, unknown: map[string]int{}}
	h.limits = map[string]*quota{}
}

// Faults returns the switches as they are.
func (h *Hub) Faults() Faults {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.faults.set
}

type fate int

const (
	fateNormal fate = iota
	fateLost
	fateForgotten
	fateLate
	fateTwice
)

func every(n, k int) bool { return k > 0 && n%k == 0 }

// webhookLocked decides what becomes of the next webhook.
func (f *faultState) webhookLocked() fate {
	f.hooks++
	switch {
	case every(f.hooks, f.set.LoseWebhooks):
		return fateLost
	case every(f.hooks, f.set.ForgetWebhooks):
		return fateForgotten
	case every(f.hooks, f.set.DelayWebhooks):
		return fateLate
	case every(f.hooks, f.set.DoubleWebhooks):
		return fateTwice
	}
	return fateNormal
}

func (f *faultState) reorderLocked() bool {
	f.sent++
	return every(f.sent, f.set.ReorderWebhooks)
}

// mergeUnknownLocked tells whether this read of a pull request does not know yet; it starts anew with every head and base.
func (f *faultState) mergeUnknownLocked(repoID int64, number int, commits string) bool {
	if f.set.MergeUnknown == 0 {
		return false
	}
	key := fmt.Sprintf("%d/%d/%s", repoID, number, commits)
	f.unknown[key]++
	return f.unknown[key] <= f.set.MergeUnknown
}

// verdict is what the faults make of one call.
type verdict struct {
	latency time.Duration
	err     bool
	limit   bool
	set     Faults
}

func (h *Hub) judge(r *http.Request) verdict {
	call := r.Method + " " + strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, gitHubAPI), gitLabAPI)
	h.mu.Lock()
	defer h.mu.Unlock()
	f := &h.faults
	v := verdict{set: f.set}
	if f.set.Match != "" && !strings.Contains(call, f.set.Match) {
		return v
	}
	f.calls++
	v.latency = f.set.Latency
	if f.set.Times > 0 && f.done >= f.set.Times {
		return v
	}
	v.limit = every(f.calls, f.set.LimitEvery)
	v.err = !v.limit && every(f.calls, f.set.ErrorEvery)
	if v.limit || v.err {
		f.done++
	}
	return v
}

// wait is the latency, cut short when the caller or the hub goes.
func (h *Hub) wait(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}

// faultBefore applies the faults to a git request, before it takes effect; true: it was answered.
func (h *Hub) faultBefore(w http.ResponseWriter, r *http.Request) bool {
	v := h.judge(r)
	h.wait(r, v.latency)
	switch {
	case v.err && v.set.ErrorAfter:
		return false // what git answers cannot be taken back without confusing it
	case v.err:
		failWith(w, v.set.ErrorStatus)
		return true
	case v.limit:
		http.Error(w, "You have exceeded a secondary rate limit.", http.StatusTooManyRequests)
		return true
	}
	return false
}

func failWith(w http.ResponseWriter, status int) {
	if status < 0 {
		panic(http.ErrAbortHandler) // net/http closes the connection and logs nothing
	}
	http.Error(w, "the sandbox was told to fail", status)
}

// quota counts an installation's calls, as GitHub's limits do.
type quota struct {
	hour    time.Time // when the hour began
	used    int
	content []time.Time // of calls that make content, in the last hour, oldest first
}

// countLocked counts a call and tells whether a limit refuses it: "", primary or secondary, and when to come again.
func (h *Hub) countLocked(key string, makesContent bool) (refused string, again time.Duration, q *quota) {
	now := h.now()
	q = h.limits[key]
	if q == nil {
		q = &quota{hour: now}
		h.limits[key] = q
	}
	if now.Sub(q.hour) >= time.Hour {
		q.hour, q.used = now, 0
	}
	if limit := h.faults.set.HourlyLimit; limit > 0 && q.used >= limit {
		return "primary", q.hour.Add(time.Hour).Sub(now), q
	}
	q.used++
	if !makesContent {
		return "", 0, q
	}
	for len(q.content) > 0 && now.Sub(q.content[0]) >= time.Hour {
		q.content = q.content[1:]
	}
	if limit := h.faults.set.ContentPerHour; limit > 0 && len(q.content) >= limit {
		return "secondary", q.content[len(q.content)-limit].Add(time.Hour).Sub(now), q
	}
	if limit := h.faults.set.ContentPerMinute; limit > 0 && len(q.content) >= limit {
		if first := q.content[len(q.content)-limit]; now.Sub(first) < time.Minute {
			return "secondary", first.Add(time.Minute).Sub(now), q
		}
	}
	q.content = append(q.content, now)
	return "", 0, q
}
