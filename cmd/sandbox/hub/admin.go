package hub

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// adminRequest is the body of every call of the scripts' API; each call reads the members it needs.
type adminRequest struct {
	Person      string             `json:"person"`
	Kind        ReviewKind         `json:"kind"` // approve, request_changes, comment
	Body        string             `json:"body"`
	Title       string             `json:"title"`
	Head        string             `json:"head"`
	Base        string             `json:"base"`
	Draft       bool               `json:"draft"`
	Method      string             `json:"method"`
	SHA         string             `json:"sha"`
	Branch      string             `json:"branch"`
	Message     string             `json:"message"`
	Files       map[string]*string `json:"files"` // null deletes the file
	Environment string             `json:"environment"`
	State       string             `json:"state"`
	Context     string             `json:"context"`
	Name        string             `json:"name"`
	App         string             `json:"app"`
}

// adminHandler is the API for scripts: orders as a person, and the switches. It takes and answers JSON; what it can do, the Hub's
// methods can do too.
//
//	GET  /sandbox/faults, PUT /sandbox/faults                    the switches (durations in nanoseconds)
//	GET  /sandbox/deliveries, POST /sandbox/deliveries/{id}/redeliver
//	POST /sandbox/installations/{owner}/{suspend|unsuspend|uninstall}
//	POST /sandbox/repos/{owner}/{repo}/push                      {person, branch, message, files}
//	POST /sandbox/repos/{owner}/{repo}/pulls                     {person, title, body, head, base}
//	GET  /sandbox/repos/{owner}/{repo}/pulls
//	POST /sandbox/repos/{owner}/{repo}/pulls/{n}/{review|merge|enqueue|dequeue|close|reopen|comment}
//	POST /sandbox/repos/{owner}/{repo}/statuses                  {person, sha, context, state}
//	POST /sandbox/repos/{owner}/{repo}/checks                    {app, sha, name, state}
//	POST /sandbox/repos/{owner}/{repo}/rollouts/{fail|hang|release}  {environment}
//	POST /sandbox/repos/{owner}/{repo}/rename                    {name}
func (h *Hub) adminHandler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, do func(*http.Request, adminRequest) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if !sameOrigin(r) {
				writeJSON(w, http.StatusForbidden, obj{"message": "calls from another site's page are refused"})
				return
			}
			var in adminRequest
			body, err := readBody(r)
			if err == nil && len(body) > 0 {
				err = json.Unmarshal(body, &in)
			}
			if err != nil {
				writeJSON(w, http.StatusBadRequest, obj{"message": err.Error()})
				return
			}
			answer, err := do(r, in)
			if err != nil {
				h.face.fail(w, err)
				return
			}
			if answer == nil {
				answer = obj{"ok": true}
			}
			writeJSON(w, http.StatusOK, answer)
		})
	}
	handle("GET /sandbox/deliveries", func(*http.Request, adminRequest) (any, error) { return h.Deliveries(), nil })
	handle("POST /sandbox/deliveries/{id}/redeliver", func(r *http.Request, _ adminRequest) (any, error) {
		id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
		if err != nil {
			return nil, missing()
		}
		return nil, h.Redeliver(id)
	})
	handle("GET /sandbox/faults", func(*http.Request, adminRequest) (any, error) { return h.Faults(), nil })
	mux.HandleFunc("PUT /sandbox/faults", h.putFaults)
	handle("POST /sandbox/installations/{owner}/{what}", func(r *http.Request, _ adminRequest) (any, error) {
		owner := r.PathValue("owner")
		switch r.PathValue("what") {
		case "suspend":
			return nil, h.SetSuspended(owner, true)
		case "unsuspend":
			return nil, h.SetSuspended(owner, false)
		case "uninstall":
			return nil, h.Uninstall(owner)
		}
		return nil, missing()
	})
	h.adminRepoRoutes(handle)
	return mux
}

func (h *Hub) adminRepoRoutes(handle func(string, func(*http.Request, adminRequest) (any, error))) {
	const repo = "/sandbox/repos/{owner}/{repo}"
	name := func(r *http.Request) string { return r.PathValue("owner") + "/" + r.PathValue("repo") }
	handle("POST "+repo+"/push", func(r *http.Request, in adminRequest) (any, error) {
		files := map[string][]byte{}
		for path, content := range in.Files {
			files[path] = nil
			if content != nil {
				files[path] = []byte(*content)
			}
		}
		sha, err := h.Push(r.Context(), name(r), Commit{Person: in.Person, Branch: in.Branch, Message: in.Message, Files: files})
		return obj{"sha": sha}, err
	})
	handle("GET "+repo+"/pulls", func(r *http.Request, _ adminRequest) (any, error) { return h.Pulls(name(r)) })
	handle("POST "+repo+"/pulls", func(r *http.Request, in adminRequest) (any, error) {
		number, err := h.OpenPull(r.Context(), name(r), NewPull{Person: in.Person, Title: in.Title, Body: in.Body, Head: in.Head, Base: in.Base, Draft: in.Draft})
		return obj{"number": number}, err
	})
	handle("GET "+repo+"/deployments", func(r *http.Request, _ adminRequest) (any, error) { return h.Deployments(name(r)) })
	handle("POST "+repo+"/pulls/{number}/{what}", func(r *http.Request, in adminRequest) (any, error) {
		number, err := strconv.Atoi(r.PathValue("number"))
		if err != nil {
			return nil, missing()
		}
		return h.actOnPull(r.Context(), name(r), number, r.PathValue("what"), in)
	})
	handle("POST "+repo+"/statuses", func(r *http.Request, in adminRequest) (any, error) {
		return nil, h.SetStatus(r.Context(), name(r), in.Person, Status{SHA: in.SHA, Context: in.Context, State: in.State, Description: in.Body})
	})
	handle("POST "+repo+"/checks", func(r *http.Request, in adminRequest) (any, error) {
		return nil, h.ReportCheck(name(r), in.App, Check{Name: in.Name, Conclusion: in.State}, in.SHA)
	})
	handle("POST "+repo+"/rollouts/{what}", func(r *http.Request, in adminRequest) (any, error) {
		switch r.PathValue("what") {
		case "fail":
			return nil, h.FailNextRollout(name(r), in.Environment)
		case "hang":
			return nil, h.HangRollouts(name(r), in.Environment)
		case "release":
			return nil, h.ReleaseRollouts(name(r), in.Environment)
		}
		return nil, missing()
	})
	handle("POST "+repo+"/rename", func(r *http.Request, in adminRequest) (any, error) { return nil, h.Rename(name(r), in.Name) })
}

// actOnPull does what a person does on a pull request's page.
func (h *Hub) actOnPull(ctx context.Context, fullName string, number int, what string, in adminRequest) (any, error) {
	switch what {
	case "review":
		return nil, h.Review(fullName, number, in.Person, in.Kind, in.Body)
	case "merge":
		if queued, err := h.hasQueue(fullName); err != nil || queued { // the button says "merge when ready" then
			return nil, errors.Join(err, h.EnqueuePull(ctx, fullName, number, in.Person))
		}
		sha, err := h.MergePull(ctx, fullName, number, in.Person, in.Method, in.SHA)
		return obj{"sha": sha}, err
	case "enqueue":
		return nil, h.EnqueuePull(ctx, fullName, number, in.Person)
	case "dequeue":
		return nil, h.DequeuePull(fullName, number, in.Person)
	case "close":
		return nil, h.ClosePull(ctx, fullName, number, in.Person)
	case "reopen":
		return nil, h.ReopenPull(ctx, fullName, number, in.Person)
	case "comment":
		return nil, h.Comment(fullName, number, in.Person, in.Body)
	}
	return nil, missing()
}

func (h *Hub) putFaults(w http.ResponseWriter, r *http.Request) {
	if !sameOrigin(r) {
		writeJSON(w, http.StatusForbidden, obj{"message": "calls from another site's page are refused"})
		return
	}
	var f Faults
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		writeJSON(w, http.StatusBadRequest, obj{"message": err.Error()})
		return
	}
	h.SetFaults(f)
	writeJSON(w, http.StatusOK, h.Faults())
}

// sameOrigin refuses what a browser sends on behalf of another site: scripts and the sandbox's own pages stay free to call.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return origin == "" || strings.TrimPrefix(origin, "http://") == r.Host
}

func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err == nil && len(body) > maxRequest {
		err = errors.New("the request is too large")
	}
	return body, err
}
