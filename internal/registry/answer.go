package registry

import (
	"net/http"
	"regexp"
	"strings"
)

// Answer is what a proved request wants to hear, instead of only that it has arrived.
type Answer struct {
	Status int
	Header http.Header // may be nil
	Body   []byte
	Reason string // what was asked and answered, for people; the delivery is one that brings no push
}

// originPattern is a DNS name, perhaps with a port, as in WebHook-Request-Origin.
var originPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?$`)

// answerOrigin answers the OPTIONS request by which a sender of CloudEvents asks whether it may post here. The address in
// WebHook-Request-Callback is never called.
//
// Source: cloudevents/spec http-webhook.md, "Abuse protection".
func answerOrigin(kind Type, request Request) (*Answer, error) {
	if request.Method != http.MethodOptions {
		return nil, nil
	}
	origin := request.Header.Get("WebHook-Request-Origin")
	if !originPattern.MatchString(origin) {
		return nil, undecoded(kind, request, nil, "the OPTIONS request has no WebHook-Request-Origin that is a host name")
	}
	header := http.Header{}
	header.Set("WebHook-Allowed-Origin", origin)
	header.Set("WebHook-Allowed-Rate", "*")
	header.Set("Allow", "POST, OPTIONS")
	return &Answer{Status: http.StatusOK, Header: header, Reason: subject(origin, "") + " asked whether it may post here, and may"}, nil
}

// verifyOrigin proves an OPTIONS request by its origin, where the endpoint lists some: senders need not authenticate it, and
// the answer gives nothing away.
func verifyOrigin(endpoint Endpoint, request Request) bool {
	origin := request.Header.Get("WebHook-Request-Origin")
	if request.Method != http.MethodOptions || origin == "" {
		return false
	}
	for allowed := range strings.SplitSeq(endpoint.Settings["origins"], ",") {
		if strings.EqualFold(strings.TrimSpace(allowed), origin) {
			return true
		}
	}
	return false
}
