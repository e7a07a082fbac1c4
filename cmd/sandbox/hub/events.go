package hub

import "net/http"

// eventKind is what happened, in words that every face can translate.
type eventKind string

const (
	pushEvent              eventKind = "push"
	pullEvent              eventKind = "pull_request"
	reviewEvent            eventKind = "pull_request_review"
	checkRunEvent          eventKind = "check_run"
	statusEvent            eventKind = "status"
	deploymentEvent        eventKind = "deployment"
	deploymentStatusEvent  eventKind = "deployment_status"
	installationEvent      eventKind = "installation"
	installationReposEvent eventKind = "installation_repositories"
	repositoryEvent        eventKind = "repository"
	mergeGroupEvent        eventKind = "merge_group"
	pingEvent              eventKind = "ping"
	commentEvent           eventKind = "issue_comment"
	memberEvent            eventKind = "member"
	workflowRunEvent       eventKind = "workflow_run"
	maxPushCommits                   = 20 // GitHub puts more into a push event; its first page of them is enough to look
)

// face is how one forge says things: its API, and its webhooks.
type face interface {
	http.Handler
	// fail answers with the forge's status and body for a refusal.
	fail(w http.ResponseWriter, err error)
	// webhook turns an event into the forge's name and body for it; an empty name: nobody hears of it.
	webhook(ev event) (name string, body obj)
	// webhookHeader is what the forge sends with a delivery.
	webhookHeader(d *delivery, secret string) http.Header
}

// event is one thing that happened. Which fields are set depends on the kind.
type event struct {
	kind   eventKind
	action string
	repo   *repo
	actor  *account

	pull       *pull
	review     *review
	check      *checkRun
	status     *commitStatus
	deployment *deployment
	deployed   *deploymentStatus
	comment    *comment
	member     *account
	run        *workflowRun
	label      string
	reviewer   *account   // who was asked for a review
	group      queueEntry // of a merge group
	reason     string     // why a pull request left a queue, or a group ended
	team       string     // that is asked for a review
	before     string     // the old name, branch or head, where something moved
	changes    map[string]any

	ref     refChange
	commits []*commitInfo // of a push, oldest first; of a status, the commit it is about
	forced  bool

	installation *installation
	added        []*repo
	removed      []*repo
}

// emitLocked queues the webhook for an event, if anybody hears of it. The app does where it is installed and not suspended.
func (h *Hub) emitLocked(ev event) {
	if h.opts.Organization {
		if ev.installation != nil {
			return // an app's affair
		}
	} else if ev.repo != nil {
		inst := h.installationOfLocked(ev.repo)
		if inst == nil || inst.suspended {
			return
		}
		ev.installation = inst
	}
	name, body := h.face.webhook(ev)
	if name == "" {
		return
	}
	h.enqueueLocked(name, ev, body)
}
