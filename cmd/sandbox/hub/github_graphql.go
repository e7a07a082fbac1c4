package hub

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// serveGraphQL is the GraphQL face.
func (f *githubFace) serveGraphQL(w http.ResponseWriter, r *http.Request) {
	status, body, err := f.serve(w, r, "any", f.graphql)
	if err != nil {
		f.fail(w, err)
		return
	}
	writeJSON(w, status, body)
}

// graphql answers what the bot asks of GraphQL, with status 200 also where it refuses. The schema is as much of GitHub's
// (https://docs.github.com/en/graphql/reference) as that takes.
func (f *githubFace) graphql(c *call) (int, any, error) {
	var in struct {
		Query     string
		Variables map[string]any
	}
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	mutation, fields, err := parseGraphQL(in.Query, in.Variables)
	if err != nil {
		return http.StatusOK, graphqlFailure("", err.Error(), ""), nil
	}
	root := f.graphqlQuery(c)
	if mutation {
		root = f.graphqlMutation(c)
	}
	data, err := project(root, fields)
	if err == nil {
		return http.StatusOK, obj{"data": data}, nil
	}
	var undefined *undefinedField
	var p *problem
	switch {
	case errors.As(err, &undefined):
		return http.StatusOK, graphqlFailure("", err.Error(), "undefinedField"), nil
	case errors.As(err, &p):
		kind := map[problemKind]string{notFound: "NOT_FOUND", forbidden: "FORBIDDEN", stale: "STALE_DATA"}[p.kind]
		if kind == "" {
			kind = "UNPROCESSABLE"
		}
		return http.StatusOK, graphqlFailure(kind, p.message, ""), nil
	}
	return 0, nil, err
}

func graphqlFailure(kind, message, code string) obj {
	e := obj{"message": message}
	if kind != "" {
		e["type"] = kind
	}
	if code != "" {
		e["extensions"] = obj{"code": code}
	}
	return obj{"data": nil, "errors": []any{e}}
}

func (f *githubFace) graphqlQuery(c *call) obj {
	return obj{"__typename": "Query", "repository": resolver(func(args map[string]any) (any, error) {
		owner, _ := args["owner"].(string)
		name, _ := args["name"].(string)
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		r, err := c.h.repoLocked(owner + "/" + name)
		if err != nil {
			return nil, refuse(notFound, "Could not resolve to a Repository with the name '"+owner+"/"+name+"'.")
		}
		if c.repo = r; !c.seesLocked() {
			return nil, refuse(notFound, "Could not resolve to a Repository with the name '"+owner+"/"+name+"'.")
		}
		return f.graphqlRepo(c, r), nil
	})}
}

func (f *githubFace) graphqlRepo(c *call, r *repo) obj {
	h := c.h
	return obj{
		"__typename": "Repository", "id": nodeID("Repository", r.id),
		"mergeQueue": resolver(func(args map[string]any) (any, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			branch, _ := args["branch"].(string)
			if !r.queues(branch) {
				return nil, nil
			}
			return f.graphqlQueue(r), nil
		}),
		"pullRequest": resolver(func(args map[string]any) (any, error) {
			number, _ := args["number"].(float64)
			h.mu.Lock()
			defer h.mu.Unlock()
			p, err := r.pull(int(number))
			if err != nil {
				return nil, refuse(notFound, "Could not resolve to a PullRequest with the number of "+strconv.Itoa(int(number))+".")
			}
			return f.graphqlPull(h, p), nil
		}),
	}
}

func (f *githubFace) graphqlQueue(r *repo) obj {
	return obj{"__typename": "MergeQueue", "id": nodeID("MergeQueue", r.id), "entries": resolver(func(map[string]any) (any, error) {
		nodes := []any{}
		f.h.mu.Lock()
		defer f.h.mu.Unlock()
		for i, e := range r.queue {
			node := obj{
				"__typename": "MergeQueueEntry", "id": nodeID("MergeQueueEntry", e.id), "enqueuedAt": when(e.at), "position": i + 1,
				"headCommit": nil, "baseCommit": nil,
				"pullRequest": obj{"__typename": "PullRequest", "id": nodeID("PullRequest", e.pull.id), "number": e.pull.number},
			}
			if e.group != "" {
				node["headCommit"] = obj{"__typename": "Commit", "oid": e.group}
				node["baseCommit"] = obj{"__typename": "Commit", "oid": e.base}
			}
			nodes = append(nodes, node)
		}
		return obj{"__typename": "MergeQueueEntryConnection", "nodes": nodes, "totalCount": len(nodes)}, nil
	})}
}

func (f *githubFace) graphqlPull(h *Hub, p *pull) obj {
	var queue any
	if p.repo.queues(p.base) {
		queue = f.graphqlQueue(p.repo)
	}
	events := []any{}
	if left := p.left; !left.at.IsZero() {
		actor := obj{"__typename": "Bot", "login": "github-merge-queue"}
		if left.by != nil {
			actor = obj{"__typename": left.by.kind, "login": strings.TrimSuffix(left.by.login, "[bot]")}
		}
		events = append(events, obj{
			"__typename": "RemovedFromMergeQueueEvent", "createdAt": when(left.at), "reason": left.reason, "actor": actor,
		})
	}
	return obj{
		"__typename": "PullRequest", "id": nodeID("PullRequest", p.id), "number": p.number, "headRefOid": p.headSHA,
		"isInMergeQueue": p.repo.queued(p) >= 0, "mergeQueue": queue,
		"timelineItems": resolver(func(args map[string]any) (any, error) {
			types, _ := args["itemTypes"].([]any)
			nodes := []any{}
			for _, t := range types {
				if t == "REMOVED_FROM_MERGE_QUEUE_EVENT" {
					nodes = events
				}
			}
			return obj{"__typename": "PullRequestTimelineItemsConnection", "nodes": nodes}, nil
		}),
	}
}

func (f *githubFace) graphqlMutation(c *call) obj {
	h := c.h
	return obj{"__typename": "Mutation", "enqueuePullRequest": resolver(func(args map[string]any) (any, error) {
		var in struct{ PullRequestID, ExpectedHeadOid string }
		raw, err := json.Marshal(args["input"])
		if err != nil || json.Unmarshal(raw, &in) != nil {
			return nil, refuse(invalid, "Variable $input of type EnqueuePullRequestInput! was provided invalid value")
		}
		h.mu.Lock()
		p := h.pullByNodeLocked(in.PullRequestID)
		if p != nil {
			c.repo = p.repo
		}
		err = refuse(notFound, "Could not resolve to a node with the global id of '"+in.PullRequestID+"'")
		if p != nil && c.seesLocked() {
			if err = c.mayLocked("contents:write"); err == nil {
				err = c.mayLocked("pull_requests:write")
			}
		}
		h.mu.Unlock()
		if err != nil {
			return nil, err
		}
		entry, err := h.enqueuePull(c.r.Context(), p.repo, c.by, p.number, in.ExpectedHeadOid)
		if err != nil {
			return nil, err
		}
		return obj{"__typename": "EnqueuePullRequestPayload", "mergeQueueEntry": obj{
			"__typename": "MergeQueueEntry", "id": nodeID("MergeQueueEntry", entry),
		}}, nil
	}), "createCommitOnBranch": resolver(func(args map[string]any) (any, error) {
		raw, err := json.Marshal(args["input"])
		if err != nil {
			return nil, refuse(invalid, "Variable $input was provided invalid value")
		}
		return h.createCommitOnBranch(c.r.Context(), c, raw)
	})}
}

func (h *Hub) pullByNodeLocked(id string) *pull {
	for _, r := range h.repos {
		for _, p := range r.pulls {
			if nodeID("PullRequest", p.id) == id {
				return p
			}
		}
	}
	return nil
}
