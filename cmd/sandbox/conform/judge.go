package conform

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
)

// The files of the two npm packages, below the folder that npm installed into.
const (
	RESTDocument = "node_modules/@octokit/openapi/generated/api.github.com.json"
	HookDocument = "node_modules/@octokit/webhooks-schemas/schema.json"
)

// Finding is one thing that does not conform, wherever and however often it was seen.
type Finding struct {
	Subject string // GET /repos/{owner}/{repo}, webhook push
	Part    string // request body, query state, answer 200; empty: the whole
	At      string // the place in the body: /head/repo/owner; * is any element of a list
	Problem string
}

// String is what exceptions match: the four in order, without those that are empty.
func (f Finding) String() string {
	text := f.Subject
	if f.Part != "" {
		text += ", " + f.Part
	}
	if f.At != "" {
		text += ", " + f.At
	}
	return text + ": " + f.Problem
}

// Exception lets findings pass, and says why.
type Exception struct {
	Name   string
	Covers *regexp.Regexp // matched against the finding's text
	Reason string
}

// Judge compares what it is told with GitHub's documents. Its methods may be called concurrently; it judges in the background, in
// goroutines that Report ends.
type Judge struct {
	rest       *restDocument
	hooks      *hookDocument
	exceptions []Exception
	workers    sync.WaitGroup

	mu      sync.Mutex
	more    *sync.Cond // something was queued, or there will be no more
	queue   []task
	closed  bool
	tallies map[string]int       // exchanges by operation
	sent    map[string]int       // webhooks by event and action
	found   map[Finding]*sighted // what no exception covers
	used    []int                // by exception
	hooksMu sync.Mutex           // guards the compiler of schemas
}

// sighted tells how often a finding was made, and where first.
type sighted struct {
	times int
	where string
}

// task is one thing to judge.
type task struct {
	where    string // whose conversation
	exchange *hub.Exchange
	webhook  *hub.Webhook
	request  bool // the request is the bot's
}

// judges is how many goroutines judge; they run beside the tests that make the traffic.
const judges = 2

// Open reads the documents below the folder that npm installed into.
func Open(folder string, exceptions []Exception) (*Judge, error) {
	rest, err := read(folder, RESTDocument)
	if err != nil {
		return nil, err
	}
	hooks, err := read(folder, HookDocument)
	if err != nil {
		return nil, err
	}
	return New(rest, hooks, exceptions)
}

func read(folder, name string) ([]byte, error) {
	raw, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w (make contract installs it)", err)
	}
	return raw, err
}

// New judges by an OpenAPI document and by JSON schemas of webhooks.
func New(rest, hooks []byte, exceptions []Exception) (*Judge, error) {
	j := &Judge{
		exceptions: exceptions, tallies: map[string]int{}, sent: map[string]int{}, found: map[Finding]*sighted{}, used: make([]int, len(exceptions)),
	}
	var err error
	if j.rest, err = readREST(rest); err != nil {
		return nil, err
	}
	if j.hooks, err = readHooks(hooks); err != nil {
		return nil, err
	}
	j.more = sync.NewCond(&j.mu)
	for range judges {
		j.workers.Go(j.work)
	}
	return j, nil
}

// Listen makes a hub tell of what it says. where names the conversation in findings; requests tells whether the requests are the bot's,
// which are judged too, or those of tests that try what a forge does with wrong ones.
func (j *Judge) Listen(opts *hub.Options, where string, requests bool) {
	opts.OnExchange = func(e hub.Exchange) { j.add(task{where: where, exchange: &e, request: requests}) }
	opts.OnWebhook = func(w hub.Webhook) { j.add(task{where: where, webhook: &w}) }
}

// Exchange judges one exchange that was recorded.
func (j *Judge) Exchange(where string, e hub.Exchange) {
	j.add(task{where: where, exchange: &e, request: true})
}

// Webhook judges one webhook that was recorded.
func (j *Judge) Webhook(where string, w hub.Webhook) { j.add(task{where: where, webhook: &w}) }

func (j *Judge) add(t task) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		panic("conform: told of more after the report")
	}
	j.queue = append(j.queue, t)
	j.more.Signal()
}

func (j *Judge) work() {
	for {
		j.mu.Lock()
		for len(j.queue) == 0 && !j.closed {
			j.more.Wait()
		}
		if len(j.queue) == 0 {
			j.mu.Unlock()
			return
		}
		t := j.queue[0]
		j.queue = j.queue[1:]
		j.mu.Unlock()
		if t.exchange != nil {
			name, found := j.rest.judge(*t.exchange, t.request)
			j.keep(t.where, j.tallies, name, found)
			continue
		}
		j.hooksMu.Lock()
		name, found := j.hooks.judge(*t.webhook)
		j.hooksMu.Unlock()
		j.keep(t.where, j.sent, name, found)
	}
}

// keep counts, and sorts out what an exception covers.
func (j *Judge) keep(where string, tallies map[string]int, name string, found []Finding) {
	j.mu.Lock()
	defer j.mu.Unlock()
	tallies[name]++
	for _, f := range found {
		text := f.String()
		if i := slices.IndexFunc(j.exceptions, func(e Exception) bool { return e.Covers.MatchString(text) }); i >= 0 {
			j.used[i]++
			continue
		}
		if j.found[f] == nil {
			j.found[f] = &sighted{where: where}
		}
		j.found[f].times++
	}
}
