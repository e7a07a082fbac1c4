package hub

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Webhooks that fail are sent less, and then no more: GitLab's own numbers.
const (
	failuresUntilPause = 4
	failuresUntilEnd   = 40
	longestPause       = 24 * time.Hour
)

// signingPrefix begins a signing token, which signs webhooks; any other secret is sent with them as it is.
const signingPrefix = "whsec_"

// hookHealth is how deliveries to the webhook went lately; guarded by Hub.mu.
type hookHealth struct {
	pause    time.Duration // the first
	failures int           // in a row
	until    time.Time
}

// wentLocked counts how a delivery went.
func (w *hookHealth) wentLocked(ok bool, now time.Time) {
	if ok {
		*w = hookHealth{pause: w.pause}
		return
	}
	w.failures++
	if w.failures >= failuresUntilPause {
		w.until = now.Add(min(w.pause<<min(w.failures-failuresUntilPause, 20), longestPause))
	}
}

// alert is how GitLab names the state: executable, temporarily_disabled or disabled.
func (w *hookHealth) alert(now time.Time) string {
	switch {
	case w.failures >= failuresUntilEnd:
		return "disabled"
	case now.Before(w.until):
		return "temporarily_disabled"
	}
	return "executable"
}

// mutedLocked tells whether the webhook is switched off for now, as one of a GitLab is that failed too often.
func (h *Hub) mutedLocked() bool {
	return h.opts.GitLab != "" && h.health.alert(h.now()) != "executable"
}

// TestWebhook sends what the Test button at a project's webhook sends: a push of what is on the default branch.
func (h *Hub) TestWebhook(fullName string) error {
	return h.change(fullName, func(r *repo) error {
		head := r.head(r.defaultBranch)
		h.emitLocked(event{kind: pushEvent, repo: r, actor: r.owner, ref: refChange{Name: "refs/heads/" + r.defaultBranch, Before: head, After: head}})
		return nil
	})
}

func (f *gitLabFace) hookRoutes() {
	list := func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		items := []any{}
		if c.h.webhook.URL != "" {
			items = append(items, f.hook(c.repo))
		}
		return http.StatusOK, listing{items: items}, nil
	}
	f.add("GET /projects/{id}/hooks", "maintain", list)
	f.add("GET /projects/{id}/hooks/{hook}/events", "maintain", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		items := []any{}
		for _, d := range slices.Backward(c.h.deliveries) {
			if d.repoID != c.repo.id {
				continue
			}
			status := any(d.code)
			if d.code == 0 || d.code == http.StatusBadGateway {
				status = "internal error"
			}
			items = append(items, obj{
				"id": d.id, "url": c.h.webhook.URL, "trigger": strings.ToLower(strings.ReplaceAll(d.event, " ", "_")) + "s", "response_status": status,
				"execution_duration": d.took.Seconds(), "request_headers": obj{}, "request_data": rawJSON(d.body), "response_headers": obj{}, "response_body": string(d.answer),
			})
		}
		return http.StatusOK, listing{items: items}, nil
	})
	f.add("POST /projects/{id}/hooks/{hook}/events/{event}/resend", "maintain", func(c *call) (int, any, error) {
		id, err := c.number("event")
		if err != nil {
			return 0, nil, says(http.StatusNotFound, "404 Not found")
		}
		if c.h.Redeliver(id) != nil {
			return 0, nil, says(http.StatusNotFound, "404 Not found")
		}
		return http.StatusCreated, obj{"response_status": 200}, nil
	})
}

// hook is the webhook as a project's own; there is only one, and every project has it.
func (f *gitLabFace) hook(r *repo) obj {
	now, health := f.h.now(), f.h.health
	var until any
	if now.Before(health.until) {
		until = gitLabTime(health.until)
	}
	return obj{
		"id": 1, "url": f.h.webhook.URL, "name": "boatlift", "description": "", "project_id": r.id, "created_at": gitLabTime(r.createdAt),
		"push_events": true, "push_events_branch_filter": "", "tag_push_events": true, "merge_requests_events": true, "note_events": true,
		"confidential_note_events": false, "issues_events": false, "confidential_issues_events": false, "job_events": true, "pipeline_events": true,
		"wiki_page_events": false, "deployment_events": true, "releases_events": false, "resource_access_token_events": false,
		"enable_ssl_verification": true, "alert_status": health.alert(now), "disabled_until": until, "custom_webhook_template": "", "custom_headers": []any{},
	}
}

// webhookHeader is what GitLab sends with a delivery.
func (f *gitLabFace) webhookHeader(d *delivery, secret string) http.Header {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "GitLab/17.11.0")
	header.Set("X-Gitlab-Event", d.event)
	header.Set("X-Gitlab-Instance", f.h.base)
	header.Set("X-Gitlab-Webhook-UUID", "00000000-0000-4000-8000-000000000001")
	header.Set("X-Gitlab-Event-UUID", d.guid)
	header.Set("Idempotency-Key", d.guid)
	header.Set("webhook-id", d.guid)
	stamp := itoa(f.h.now().Unix())
	header.Set("webhook-timestamp", stamp)
	key, signs := strings.CutPrefix(secret, signingPrefix)
	switch {
	case signs:
		raw, err := base64.StdEncoding.DecodeString(key)
		if err != nil {
			f.h.log.Error("sandbox forge cannot sign with this token", "error", err)
			break
		}
		mac := hmac.New(sha256.New, raw)
		mac.Write([]byte(d.guid + "." + stamp + "."))
		mac.Write(d.body)
		header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	case secret != "":
		header.Set("X-Gitlab-Token", secret)
	}
	return header
}
