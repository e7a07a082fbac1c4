package forgetest

import (
	"context"
	"fmt"
	"slices"

	"github.com/boatlift/boatlift/internal/forge"
)

// Call is one call that was made of a Memory.
type Call struct {
	Method string // the name in forge.Forge
	Repo   forge.RepoID
	Number int    // of the pull request, where the call is about one
	Detail string // branch, key, state, hash: what the call is about beside its repository
	Write  bool   // whether the call may change something
	Err    error  // what it returned
}

// String is one line for a test's failure.
func (c Call) String() string {
	line := fmt.Sprintf("%s repo=%d", c.Method, c.Repo)
	if c.Number != 0 {
		line += fmt.Sprintf(" number=%d", c.Number)
	}
	if c.Detail != "" {
		line += " " + c.Detail
	}
	if c.Err != nil {
		line += " -> " + c.Err.Error()
	}
	return line
}

// Fault makes calls fail.
type Fault struct {
	Method     string       // only calls of this name; empty: all
	Repo       forge.RepoID // only calls about this repository; 0: all
	WritesOnly bool         // only calls that may change something
	Err        error        // what the call returns; must not be nil
	Times      int          // how many calls fail until the fault is used up; 0: all, until ClearFaults
	Every      int          // of the calls that fit, only each k-th fails; 0 and 1: each
	Skip       int          // so many calls that fit pass first
	After      bool         // the call takes effect and then fails, as when the answer is lost
}

type fault struct {
	Fault
	fit, failed int
}

// Inject makes calls fail from now on. Several faults may stand at once; the first that fits a call is the one it meets.
func (m *Memory) Inject(f Fault) {
	if f.Err == nil {
		panic("forgetest: a fault needs an error")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = append(m.faults, &fault{Fault: f})
}

// ClearFaults lets all calls pass again.
func (m *Memory) ClearFaults() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = nil
}

// Lag makes lists (pull requests, reviews, deployments) show what was there before the latest change in their repository, as a
// forge's replicas do. Single reads and the refusal of duplicates stay exact. Switching it off catches up.
func (m *Memory) Lag(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lag = on
	for _, r := range m.repos {
		m.changingLocked(r)
	}
}

// changingLocked is called before a repository changes: what is there now is what lagging lists go on showing.
func (m *Memory) changingLocked(r *repository) {
	if !m.lag {
		r.listed, r.listedRuns = nil, nil
		return
	}
	r.listed = make([]*pull, 0, len(r.pulls))
	for _, p := range r.pulls {
		r.listed = append(r.listed, p.clone())
	}
	r.listedRuns = make([]*forge.Deployment, 0, len(r.deployments))
	for _, d := range r.deployments {
		c := *d
		r.listedRuns = append(r.listedRuns, &c)
	}
}

// Calls returns the calls since the start or since ForgetCalls, in order.
func (m *Memory) Calls() []Call {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls)
}

// ForgetCalls empties the record of calls.
func (m *Memory) ForgetCalls() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = nil
}

func (m *Memory) faultLocked(c Call) *fault {
	for _, f := range m.faults {
		if f.Method != "" && f.Method != c.Method || f.Repo != 0 && f.Repo != c.Repo || f.WritesOnly && !c.Write {
			continue
		}
		if f.Times > 0 && f.failed >= f.Times {
			continue
		}
		f.fit++
		if f.fit <= f.Skip || f.Every > 1 && (f.fit-f.Skip)%f.Every != 0 {
			continue
		}
		f.failed++
		return f
	}
	return nil
}

// call runs one call of the bot's: it meets its fault, takes effect and is recorded.
func call[T any](ctx context.Context, m *Memory, c Call, effect func() (T, error)) (T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var answer, none T
	err := ctx.Err()
	if err == nil {
		f := m.faultLocked(c)
		if f == nil || f.After {
			answer, err = effect()
		}
		if f != nil && err == nil {
			err = f.Err
		}
	}
	c.Err = err
	m.calls = append(m.calls, c)
	if err != nil {
		return none, err
	}
	return answer, nil
}
