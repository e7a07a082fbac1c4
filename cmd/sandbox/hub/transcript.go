package hub

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Transcript writes down what a forge hears and says, a JSON object per line: for people who want to see what the bot asks of GitHub,
// and for tests that judge it later. Its methods may be called concurrently. It holds the tokens that the forge hands out, which are
// worth nothing once the forge has ended.
type Transcript struct {
	mu  sync.Mutex
	w   io.Writer
	err error
}

// line is one line of a transcript: a call with its answer, or a webhook.
type line struct {
	Webhook      string          `json:"webhook,omitempty"` // the event
	Call         string          `json:"call,omitempty"`    // GET /api/v3/app?page=2
	Header       http.Header     `json:"header,omitempty"`
	Body         json.RawMessage `json:"body,omitempty"` // of the webhook or the call; what is no JSON stands as a text
	Status       int             `json:"status,omitempty"`
	AnswerHeader http.Header     `json:"answerHeader,omitempty"`
	Answer       json.RawMessage `json:"answer,omitempty"`
}

// NewTranscript writes to w.
func NewTranscript(w io.Writer) *Transcript { return &Transcript{w: w} }

// Exchange is for Options.OnExchange.
func (t *Transcript) Exchange(e Exchange) {
	call := e.Method + " " + e.Path
	if e.Query != "" {
		call += "?" + e.Query
	}
	t.write(line{Call: call, Header: e.Header, Body: jsonOrText(e.Body), Status: e.Status, AnswerHeader: e.AnswerHeader, Answer: jsonOrText(e.Answer)})
}

// Webhook is for Options.OnWebhook.
func (t *Transcript) Webhook(w Webhook) { t.write(line{Webhook: w.Event, Body: jsonOrText(w.Body)}) }

// Err is why something could not be written down; nothing was after it.
func (t *Transcript) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

func (t *Transcript) write(l line) {
	raw, err := json.Marshal(l)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		return
	}
	if err == nil {
		_, err = t.w.Write(append(raw, '\n'))
	}
	if err != nil {
		t.err = fmt.Errorf("write the transcript: %w", err)
	}
}

func jsonOrText(body []byte) json.RawMessage {
	if len(body) == 0 || json.Valid(body) {
		return body
	}
	text, err := json.Marshal(string(body))
	if err != nil {
		return nil // a text always has a form in JSON
	}
	return text
}

// ReadTranscript reads one back. A body that was no JSON comes back as a text in JSON.
func ReadTranscript(r io.Reader, exchange func(Exchange), webhook func(Webhook)) error {
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		raw, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(raw) == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the transcript: %w", err)
		}
		var l line
		if err := json.Unmarshal(raw, &l); err != nil {
			return fmt.Errorf("read line %d of the transcript: %w", n, err)
		}
		if l.Webhook != "" {
			webhook(Webhook{Event: l.Webhook, Body: l.Body})
			continue
		}
		method, path, _ := strings.Cut(l.Call, " ")
		path, query, _ := strings.Cut(path, "?")
		exchange(Exchange{
			Method: method, Path: path, Query: query, Header: l.Header, Body: l.Body, Status: l.Status, AnswerHeader: l.AnswerHeader, Answer: l.Answer,
		})
	}
}
