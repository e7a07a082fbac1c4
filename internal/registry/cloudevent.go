package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// cloudEvent is one event in CloudEvents' sense, in whichever way it came.
//
// Source: cloudevents/spec spec.md and bindings/http-protocol-binding.md.
type cloudEvent struct {
	SpecVersion text            `json:"specversion"`
	ID          text            `json:"id"`
	Source      text            `json:"source"`
	Type        text            `json:"type"`
	Subject     text            `json:"subject"`
	Time        moment          `json:"time"`
	DataType    text            `json:"datacontenttype"`
	Data        json.RawMessage `json:"data"`
	Base64      text            `json:"data_base64"`
}

// binary tells a request whose event's attributes are in headers and whose body is the data alone.
func binary(header http.Header) bool {
	return header.Get("Ce-Type") != "" && !strings.HasPrefix(strings.ToLower(header.Get("Content-Type")), "application/cloudevents")
}

// readBinary reads an event of which binary is true.
func readBinary(request Request) cloudEvent {
	attribute := func(name string) text {
		value := request.Header.Get(name)
		if strings.Contains(value, "%") {
			if plain, err := url.PathUnescape(value); err == nil {
				value = plain
			}
		}
		return text(value)
	}
	return cloudEvent{
		SpecVersion: attribute("Ce-Specversion"), ID: attribute("Ce-Id"), Source: attribute("Ce-Source"), Type: attribute("Ce-Type"),
		Subject: attribute("Ce-Subject"), Time: moment{parseMoment(request.Header.Get("Ce-Time"))},
		DataType: text(request.Header.Get("Content-Type")), Data: request.Body,
	}
}

// elements takes a body apart that is a list, or is one element. It is nil where the body is no JSON.
func elements(body []byte) ([]json.RawMessage, error) {
	trimmed := bytes.TrimSpace(body)
	if len(trimmed) > 0 && trimmed[0] == '[' {
		var list []json.RawMessage
		if err := json.Unmarshal(trimmed, &list); err != nil {
			return nil, err
		}
		return list, nil
	}
	return []json.RawMessage{trimmed}, nil
}

// data is the event's data where that is JSON; why says why there is none.
func (e *cloudEvent) data() (data []byte, why string) {
	kind, _, _ := strings.Cut(strings.ToLower(string(e.DataType)), ";")
	kind = strings.TrimSpace(kind)
	switch {
	case kind != "" && !strings.HasSuffix(kind, "/json") && !strings.HasSuffix(kind, "+json"):
		return nil, "its data is " + subject(kind, "") + ", not JSON"
	case len(e.Data) > 0 && !bytes.Equal(e.Data, []byte("null")):
		return e.Data, ""
	case e.Base64 == "":
		return nil, "it has no data"
	}
	data, err := base64.StdEncoding.DecodeString(string(e.Base64))
	if err != nil {
		return nil, "its data_base64 is not base64"
	}
	return data, ""
}

// key tells the event from all others: by source and id, as the specification says.
func (e *cloudEvent) key() string {
	if e.ID == "" {
		return ""
	}
	if key := checkID(string(e.ID) + "@" + string(e.Source)); key != "" {
		return key
	}
	hash := sha256.Sum256([]byte(string(e.Source) + "\x00" + string(e.ID)))
	return "sha256-" + hex.EncodeToString(hash[:])
}
