package hub

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// checkRun is one run of a check on a commit.
type checkRun struct {
	id, suite            int64
	app                  checkApp
	sha, name            string
	externalID           string
	detailsURL           string
	status               string // queued, in_progress, completed
	conclusion           string // empty until completed
	title, summary, text string
	startedAt            time.Time
	completedAt          time.Time
}

// checkInput is what an app gives to make or change a check run; nil leaves a part alone.
type checkInput struct {
	Name        *string    `json:"name"`
	HeadSHA     *string    `json:"head_sha"`
	DetailsURL  *string    `json:"details_url"`
	ExternalID  *string    `json:"external_id"`
	Status      *string    `json:"status"`
	Conclusion  *string    `json:"conclusion"`
	StartedAt   *time.Time `json:"started_at"`
	CompletedAt *time.Time `json:"completed_at"`
	Output      *struct {
		Title   *string `json:"title"`
		Summary *string `json:"summary"`
		Text    *string `json:"text"`
	} `json:"output"`
}

// maxOutput is how much text GitHub takes in a check's summary.
const maxOutput = 65535

func (in *checkInput) check() error {
	statuses := []string{"queued", "in_progress", "completed", "waiting", "requested", "pending"}
	conclusions := []string{"action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"}
	wrong := func(field, why string) error {
		return refuse(invalid, "Invalid request.\n\n"+why, fieldProblem{Resource: "CheckRun", Code: "invalid", Field: field})
	}
	switch {
	case in.Status != nil && !slices.Contains(statuses, *in.Status):
		return wrong("status", *in.Status+" is not a member of the allowed statuses.")
	case in.Conclusion != nil && !slices.Contains(conclusions, *in.Conclusion):
		return wrong("conclusion", *in.Conclusion+" is not a member of the allowed conclusions.")
	case in.Status != nil && *in.Status == "completed" && in.Conclusion == nil:
		return wrong("conclusion", "A completed check run needs a conclusion.")
	case in.Output != nil && (in.Output.Title == nil || in.Output.Summary == nil):
		return wrong("output", "\"title\", \"summary\" weren't supplied.")
	case in.Output != nil && len(*in.Output.Summary) > maxOutput:
		return wrong("summary", fmt.Sprintf("Only %d characters are allowed; %d were supplied.", maxOutput, len(*in.Output.Summary)))
	}
	return nil
}

// checkApp is an app that reports checks.
type checkApp struct {
	id   int64
	slug string
}

// ownApp is the app that the hub lets in; others report checks, and that is all they do.
func (h *Hub) ownApp() checkApp { return checkApp{h.opts.AppID, h.opts.AppSlug} }

// createCheckLocked makes a check run. The caller has made sure that the commit exists.
func (h *Hub) createCheckLocked(r *repo, app checkApp, by *account, in checkInput) (*checkRun, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	key := strconv.FormatInt(app.id, 10) + " " + *in.HeadSHA
	if r.suites[key] == 0 {
		r.suites[key] = h.idLocked()
	}
	check := &checkRun{
		id: h.idLocked(), suite: r.suites[key], app: app, sha: *in.HeadSHA, name: *in.Name, status: "queued", startedAt: h.stamp(),
	}
	r.checks[check.sha] = append(r.checks[check.sha], check)
	r.checkByID[check.id] = check
	h.applyCheckLocked(check, in)
	h.emitLocked(event{kind: checkRunEvent, action: "created", repo: r, actor: by, check: check})
	if check.status == "completed" {
		h.emitLocked(event{kind: checkRunEvent, action: "completed", repo: r, actor: by, check: check})
	}
	h.checkedLocked(r)
	return check, nil
}

// ReportCheck reports a run of a check on a commit as another app does, by its slug: github-actions. State is queued, in_progress, or a
// conclusion: success, failure, neutral, skipped … In a GitLab it is a job, which is neutral where it failed and may.
func (h *Hub) ReportCheck(fullName, app string, check Check, sha string) error {
	commit, err := h.commitOf(context.Background(), fullName, sha)
	if err != nil {
		return err
	}
	return h.change(fullName, func(r *repo) error {
		if r.gitLab {
			h.reportJobLocked(r, h.accountLocked(app, kindBot), check, commit)
			return nil
		}
		by := h.accountLocked(app+"[bot]", kindBot)
		in := checkInput{Name: &check.Name, HeadSHA: &sha}
		if check.DetailsURL != "" {
			in.DetailsURL = &check.DetailsURL
		}
		if check.Conclusion != "" {
			in.Conclusion = &check.Conclusion
		} else if check.Status != "" {
			in.Status = &check.Status
		}
		_, err := h.createCheckLocked(r, checkApp{by.id, app}, by, in)
		return err
	})
}

func (h *Hub) updateCheckLocked(r *repo, id int64, in checkInput) (*checkRun, error) {
	check := r.checkByID[id]
	if check == nil {
		return nil, missing()
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	before := check.status
	h.applyCheckLocked(check, in)
	if check.status == "completed" && before != "completed" {
		h.emitLocked(event{kind: checkRunEvent, action: "completed", repo: r, actor: h.bot, check: check})
	}
	h.checkedLocked(r)
	return check, nil
}

// checkedLocked lets a merge queue that may have waited for a check go on.
func (h *Hub) checkedLocked(r *repo) {
	if len(r.queue) > 0 {
		h.kickQueueLocked(h.ctx, r)
	}
}

func (h *Hub) applyCheckLocked(check *checkRun, in checkInput) {
	set := func(to *string, from *string) {
		if from != nil {
			*to = *from
		}
	}
	set(&check.name, in.Name)
	set(&check.detailsURL, in.DetailsURL)
	set(&check.externalID, in.ExternalID)
	set(&check.status, in.Status)
	if in.StartedAt != nil {
		check.startedAt = in.StartedAt.UTC()
	}
	switch {
	case in.Conclusion != nil: // a conclusion completes the run, whatever status was given
		check.conclusion, check.status = *in.Conclusion, "completed"
		check.completedAt = h.stamp()
		if in.CompletedAt != nil {
			check.completedAt = in.CompletedAt.UTC()
		}
	case check.status != "completed": // set back to running: GitHub forgets the conclusion
		check.conclusion, check.completedAt = "", time.Time{}
	}
	if in.Output != nil {
		set(&check.title, in.Output.Title)
		set(&check.summary, in.Output.Summary)
		set(&check.text, in.Output.Text)
	}
}

// latestChecks keeps the newest run of each name and app, newest first.
func latestChecks(checks []*checkRun) []*checkRun {
	var latest []*checkRun
	seen := map[string]bool{}
	for _, check := range slices.Backward(checks) {
		key := strconv.FormatInt(check.app.id, 10) + " " + check.name
		if !seen[key] {
			seen[key] = true
			latest = append(latest, check)
		}
	}
	return latest
}

// commitStatus is a commit status: what anything outside says of a commit.
type commitStatus struct {
	id                 int64
	sha, context       string
	state, description string
	targetURL          string
	creator            *account
	at                 time.Time
	allowed            bool   // it may fail
	ref                string // of a GitLab: the branch, and the pipeline that shows the status
	pipeline           int64
}

// Status is a commit status that somebody sets.
type Status struct {
	SHA, Context       string
	State, Description string // error, failure, pending or success
	TargetURL          string
}

func (h *Hub) commitOf(ctx context.Context, fullName, sha string) (*commitInfo, error) {
	var at bare
	if err := h.change(fullName, func(r *repo) error { at = r.bare; return nil }); err != nil {
		return nil, err
	}
	commits, err := at.commits(ctx, []string{sha})
	if err != nil {
		return nil, err
	}
	return &commits[0], nil
}

// SetStatus sets a commit status as a person: a smoke test's result, say.
func (h *Hub) SetStatus(ctx context.Context, fullName, person string, status Status) error {
	commit, err := h.commitOf(ctx, fullName, status.SHA)
	if err != nil {
		return err
	}
	return h.change(fullName, func(r *repo) error {
		by, err := h.writerLocked(r, person)
		if err != nil {
			return err
		}
		_, err = h.statusLocked(r, by, status, commit)
		return err
	})
}

func (h *Hub) statusLocked(r *repo, by *account, in Status, commit *commitInfo) (*commitStatus, error) {
	states := []string{"error", "failure", "pending", "success"}
	if r.gitLab {
		states = append(states, "running", "skipped")
	}
	if !slices.Contains(states, in.State) {
		return nil, validation(fieldProblem{Resource: "Status", Code: "invalid", Field: "state"})
	}
	if len([]rune(in.Description)) > 140 && !r.gitLab {
		return nil, validation(fieldProblem{Resource: "Status", Code: "custom", Field: "description", Message: "description is too long (maximum is 140 characters)"})
	}
	if in.Context == "" {
		in.Context = "default"
	}
	status := &commitStatus{
		id: h.idLocked(), sha: in.SHA, context: in.Context, state: in.State, description: in.Description, targetURL: in.TargetURL, creator: by, at: h.stamp(),
	}
	r.statuses[in.SHA] = append(r.statuses[in.SHA], status)
	if r.gitLab {
		h.placeLocked(r, status)
	}
	h.emitLocked(event{kind: statusEvent, repo: r, actor: by, status: status, commits: []*commitInfo{commit}})
	h.checkedLocked(r)
	return status, nil
}

// latestStatuses keeps the newest status of each context, newest first.
func latestStatuses(statuses []*commitStatus) []*commitStatus {
	var latest []*commitStatus
	seen := map[string]bool{}
	for _, status := range slices.Backward(statuses) {
		if !seen[status.context] {
			seen[status.context] = true
			latest = append(latest, status)
		}
	}
	return latest
}

// Statuses returns the newest status of every context on a commit.
func (h *Hub) Statuses(fullName, sha string) ([]Status, error) {
	var views []Status
	err := h.change(fullName, func(r *repo) error {
		for _, s := range latestStatuses(r.statuses[sha]) {
			views = append(views, Status{SHA: s.sha, Context: s.context, State: s.state, Description: s.description, TargetURL: s.targetURL})
		}
		return nil
	})
	return views, err
}

// Check is a check run as a commit shows it.
type Check struct {
	Name, Status, Conclusion   string
	Title, Summary, DetailsURL string
	ExternalID                 string
}

// Checks returns the newest run of every check on a commit.
func (h *Hub) Checks(fullName, sha string) ([]Check, error) {
	var views []Check
	err := h.change(fullName, func(r *repo) error {
		for _, c := range latestChecks(r.checks[sha]) {
			views = append(views, Check{
				Name: c.name, Status: c.status, Conclusion: c.conclusion, Title: c.title, Summary: c.summary, DetailsURL: c.detailsURL, ExternalID: c.externalID,
			})
		}
		return nil
	})
	return views, err
}
