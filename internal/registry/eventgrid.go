package registry

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

var errNoHeader = errors.New("it is no name of a header")

// eventGrid is Azure Container Registry heard through Event Grid, in either of its schemas, alone or in a list. Event Grid
// tries again for a day, but not after 400, 401, 403 or 413. A subscription is made only once the endpoint has answered: in
// Event Grid's schema an event with a code that is sent back, in CloudEvents' an OPTIONS request. The validationUrl in the
// former is never called.
//
// Source: learn.microsoft.com "Azure Container Registry as an Event Grid source", "Endpoint validation with Event Grid event
// schema", "Endpoint validation with CloudEvents schema", "Custom delivery properties".
func eventGrid() Type {
	kind := Type{
		Name:    "acr-eventgrid",
		Title:   "Azure Container Registry (Event Grid)",
		Proof:   "a secret in the address, its query, or a header",
		Repeats: Lasting,
		Methods: []string{http.MethodOptions},
		Settings: []Setting{
			{
				Name: "proof", Says: "where the secret is: path, query (as access_token), or header (a delivery property)", Example: "header", Default: "path",
				Check: oneOf("path", "query", "header"),
			},
			{Name: "header", Says: "the delivery property that has the secret", Example: "X-Boatlift-Secret", Default: "Authorization", Check: checkHeaderName},
		},
		Secrecy: proofSetting,
		Looks:   looksLikeEventGrid,
	}
	kind.Setup = func(endpoint Endpoint, g Guide) string {
		lines := []string{
			"With the Azure CLI:",
			"",
			"  az eventgrid event-subscription create --name boatlift \\",
			"    --source-resource-id $(az acr show --name REGISTRY --query id --output tsv) \\",
			"    --included-event-types Microsoft.ContainerRegistry.ImagePushed \\",
			"    --event-delivery-schema cloudeventschemav1_0 \\",
		}
		last := []string{"    --endpoint '{url}'", "", "The bot has to run and be reachable while you do this: Event Grid asks it first, and it answers by itself."}
		if proofSetting(endpoint) == Shared {
			value := "{secret}"
			if endpoint.Settings["header"] == "Authorization" {
				value = "Bearer {secret}"
			}
			lines = append(lines, "    --delivery-attribute-mapping "+endpoint.Settings["header"]+" static '"+value+"' true \\")
			last = append(last, "If it is refused there, the question came without the header: use proof: path instead.")
		}
		return setup(&kind, append(lines, last...)...)(endpoint, g)
	}
	kind.Verify = func(endpoint Endpoint, request Request) error {
		switch proofSetting(endpoint) {
		case InPath:
			return verifyPath(kind, endpoint, request)
		case InQuery:
			return verifyQuery(kind, endpoint, request)
		}
		return verifyNamed(kind, endpoint, request, endpoint.Settings["header"], "set the header as a delivery property of the subscription")
	}
	kind.Answer = func(_ context.Context, _ Endpoint, request Request) (*Answer, error) {
		if request.Method == http.MethodOptions {
			return answerOrigin(kind, request)
		}
		return answerValidation(kind, request)
	}
	kind.Decode = func(endpoint Endpoint, request Request) (Decoded, error) {
		return decodeEventGrid(kind, endpoint, request)
	}
	return kind
}

const (
	gridPrefix     = "Microsoft.ContainerRegistry."
	gridValidation = "Microsoft.EventGrid.SubscriptionValidationEvent"
)

func looksLikeEventGrid(keys map[string]json.RawMessage, header http.Header) bool {
	return header.Get("Aeg-Event-Type") != "" || has(keys, "eventType", "eventTime") || strings.HasPrefix(word(keys, "type"), gridPrefix) ||
		strings.HasPrefix(header.Get("Ce-Type"), gridPrefix)
}

// gridEvent is an event of either schema.
type gridEvent struct {
	cloudEvent
	OldType text   `json:"eventType"`
	OldTime moment `json:"eventTime"`
}

// answerValidation sends back the code of a validation event.
func answerValidation(kind Type, request Request) (*Answer, error) {
	// The header is not relied upon: gateways drop what they do not know.
	if header := request.Header.Get("Aeg-Event-Type"); header != "" && header != "SubscriptionValidation" {
		return nil, nil
	}
	list, err := elements(request.Body)
	if err != nil || len(list) == 0 {
		return nil, nil // Decode says what is wrong
	}
	var first gridEvent
	if json.Unmarshal(list[0], &first) != nil || first.OldType != gridValidation {
		return nil, nil
	}
	var data struct {
		Code string `json:"validationCode"`
	}
	if json.Unmarshal(first.Data, &data) != nil || data.Code == "" || len(data.Code) > 512 {
		return nil, undecoded(kind, request, request.Body, "the validation event has no validationCode")
	}
	body, err := json.Marshal(map[string]string{"validationResponse": data.Code})
	if err != nil {
		return nil, undecoded(kind, request, request.Body, "the validation event has no validationCode")
	}
	return &Answer{
		Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: body,
		Reason: "Event Grid asked whether a subscription may be made, and was told so",
	}, nil
}

func decodeEventGrid(kind Type, endpoint Endpoint, request Request) (Decoded, error) {
	c := newCollector(endpoint)
	if binary(request.Header) {
		e := gridEvent{cloudEvent: readBinary(request)}
		if !json.Valid(request.Body) {
			return Decoded{}, undecoded(kind, request, nil, "the body is not JSON, or cut off")
		}
		if !c.eventGrid(&e) {
			return Decoded{}, undecoded(kind, request, request.Body, "its type is not one of Event Grid's")
		}
		return c.result(string(e.ID)), nil
	}
	list, err := elements(request.Body)
	if err != nil {
		return Decoded{}, undecoded(kind, request, request.Body, explainJSON(err))
	}
	var ids []string
	known := 0
	for _, element := range list {
		var e gridEvent
		if err := json.Unmarshal(element, &e); err != nil {
			if len(list) == 1 {
				return Decoded{}, undecoded(kind, request, request.Body, explainJSON(err))
			}
			ids = append(ids, "")
			c.ignore("an event of the list is not understood: " + explainJSON(err))
			continue
		}
		ids = append(ids, string(e.ID))
		if c.eventGrid(&e) {
			known++
		}
	}
	if len(list) == 0 {
		c.ignore("the list of events is empty")
	} else if known == 0 {
		return Decoded{}, undecoded(kind, request, request.Body, "the body has no event of Event Grid")
	}
	return c.result(joinIDs(ids)), nil
}

// eventGrid tells whether it is an event of Event Grid's at all.
func (c *collector) eventGrid(e *gridEvent) bool {
	name := string(e.OldType)
	if name == "" {
		name = string(e.Type)
	}
	switch {
	case name == gridValidation:
		c.ignore("Event Grid asks whether a subscription may be made; that is answered, not stored")
		return true
	case !strings.HasPrefix(name, "Microsoft."):
		c.ignore("an event of the type " + subject(name, "") + " is none of Event Grid's")
		return false
	case name != gridPrefix+"ImagePushed":
		c.ignore("the event " + subject(name, "") + " is no push of an image")
		return true
	}
	data, why := e.data()
	if why != "" {
		c.ignore("a push is not understood: " + why)
		return true
	}
	var pushed acrEvent
	if err := json.Unmarshal(data, &pushed); err != nil || pushed.Target == nil {
		if err == nil {
			err = errNoTarget
		}
		c.ignore("a push is not understood: " + explainData(err))
		return true
	}
	if pushed.Action == nil {
		push := "push"
		pushed.Action = &push // the event's type has said so
	}
	at := pushed.Time.Time
	for _, other := range []moment{e.Time, e.OldTime} {
		if at.IsZero() {
			at = other.Time
		}
	}
	c.acr(&pushed, string(e.ID), at)
	return true
}

var errNoTarget = errors.New("its data has no target")

// explainData is explainJSON for the data of an event.
func explainData(err error) string {
	if errors.Is(err, errNoTarget) {
		return err.Error()
	}
	return "in its data, " + explainJSON(err)
}
