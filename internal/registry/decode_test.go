package registry

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/trust"
	"github.com/boatlift/boatlift/internal/trust/trusttest"
)

// What senders send besides the bodies in testdata, or may come to send: fields that vary, and those that must not.
func TestDecode(t *testing.T) {
	const digest = "sha256:e37f46c7187b484386061be26abfe5d3b98e9173932a9d1d15ed2edc3fa34d77"
	pubsub := func(data string) string {
		return `{"message":{"messageId":7,"data":"` + base64.StdEncoding.EncodeToString([]byte(data)) + `"},"subscription":"s"}`
	}
	ecr := func(detail string) string {
		return `{"source":"aws.ecr","detail-type":"ECR Image Action","account":"123456789012","region":"eu-west-1","detail":` + detail + `}`
	}
	for _, test := range []struct {
		kind, headers, body string
		want                string // images with their tags, and words of reasons after !, or of the error after !!
	}{
		{"dockerhub", "", `{"push_data":{"tag":"1"},"repository":{"repo_name":"Shop/Web"}}`, "docker.io/shop/web:1"},
		{"dockerhub", "", `{"push_data":{"tag":"1","pushed_at":"1417566161","media_type":null},"repository":{"namespace":"library","name":"nginx","comment_count":"0"}}`, "docker.io/library/nginx:1"},
		{"dockerhub", "", `{"push_data":{"tag":"1","pushed_at":{},"media_type":7},"repository":{"repo_name":"nginx"}}`, "docker.io/library/nginx:1"},
		{"dockerhub", "", `{"push_data":{"tag":7},"repository":{"repo_name":"shop/web"}}`, "!!is a number"},
		{"dockerhub", "", `{"push_data":{"tag":"1"},"repository":{}}`, "!!no repo_name"},
		{"dockerhub", "", `{"push_data":null,"repository":{"repo_name":"shop/web"}}`, "!!no push_data"},
		{"dockerhub", "", `{"push_data":{"tag":"1"},"repository":{"repo_name":"../web"}}`, "!no image name"},
		{"alibaba-acr", "", `{"push_data":{"tag":"1"},"repository":{"repo_full_name":"a/b","region":"cn-hangzhou.elsewhere.io/x"}}`, "!at which registry"},
		{"alibaba-acr", "", `{"push_data":{"tag":"1"},"repository":{"repo_full_name":"a/b","region":"ap-southeast-1"}}`, "registry.ap-southeast-1.aliyuncs.com/a/b:1"},
		{"alibaba-acr", "", `{"push_data":{"tag":"1"},"repository":{"name":"b","namespace":"a"}}`, "!!no repo_full_name"},

		{"gitea", "", `{"action":"created","package":{"type":"Container","name":"Web","version":"1","owner":{"login":"Shop"},"html_url":"http://git.acme.io:3000/shop/-/packages/container/web/1"}}`, "git.acme.io:3000/shop/web:1"},
		{"gitea", "X-Forgejo-Event: package", `{"action":"created","package":{"type":"container","name":"web","version":"1","owner":{"login":"shop"},"html_url":null}}`, "!at which registry"},
		{"gitea", "", `{"action":"created","package":{"type":"container","name":"web","version":"1"}}`, "!!no owner"},
		{"gitea", "", `{"action":"updated","package":{"type":"container","name":"web","version":"1","owner":{"login":"shop"}}}`, "!no push"},
		{"gitea", "", `{"action":"created","package":{"name":"web"}}`, "!!no package with a type"},
		{"gitea", "X-Forgejo-Event: release", `{}`, "!only package is needed"},
		{"gitea", "X-Gitea-Event: release", `{`, "!!not JSON"},

		{"harbor", "", `{"type":"PUSH_ARTIFACT","occur_at":"1772442904","event_data":{"resources":[{"tag":"1","resource_url":"https://h.io/p/w:1"}],"repository":{"namespace":"p","name":"w"}}}`, "h.io/p/w:1"},
		{"harbor", "", `{"type":"PUSH_ARTIFACT","event_data":{"resources":[{"tag":"1","resource_url":"h.io:8443/p/q/w:1"}]}}`, "h.io:8443/p/q/w:1"},
		{"harbor", "", `{"type":"PUSH_ARTIFACT","event_data":{"resources":[{"tag":"1","resource_url":""}],"repository":{"repo_full_name":"p/w"}}}`, "!at which registry"},
		{"harbor", "", `{"type":"PUSH_ARTIFACT","event_data":{"resources":[{"tag":"","digest":"` + digest + `","resource_url":"h.io/p/w@` + digest + `"}],"repository":{"repo_full_name":"p/w"}}}`, "!has no tag"},
		{"harbor", "", `{"type":"PUSH_ARTIFACT","event_data":{"resources":[],"repository":{"repo_full_name":"p/w"}}}`, "!names no artifact"},
		{"harbor", "", `{"type":"PUSH_ARTIFACT","event_data":{"resources":[{"tag":1}]}}`, "!!is a number"},
		{"harbor", "", `{"type":"PUSH_ARTIFACT"}`, "!!no type and event_data"},
		{"harbor", "", `{"event_data":{}}`, "!!no type and event_data"},
		{"harbor", "", `{"specversion":"1.0","type":"harbor.artifact.pushed"}`, "!!no data"},
		{"harbor", "", `{"type":"QUOTA_EXCEED","event_data":"anything"}`, "!no push"},
		{"harbor", "Ce-Type: harbor.artifact.pushed\nCe-Id: 7\nContent-Type: application/json", `{"resources":[{"tag":"1","resource_url":"h.io/p/w:1"}],"repository":{"repo_full_name":"p/w"}}`, "h.io/p/w:1"},
		{"harbor", "Ce-Type: harbor.artifact.pulled", `{`, "!!not JSON"},

		{"quay", "", `{"repository":"a/b","docker_url":"quay.io/a/b","updated_tags":["1","1","../x","sha256:ab"]}`, "quay.io/a/b:1 | quay.io/a/b:1 | !no registry could hold | !by digest"},
		{"quay", "", `{"repository":"a/b","docker_url":"quay.io","updated_tags":["1"]}`, "quay.io/a/b:1"},
		{"quay", "", `{"repository":"a/b","docker_url":"quay.io/a/b","updated_tags":"1"}`, "!!no list of tags"},
		{"quay", "", `{"repository":"a/b","docker_url":"quay.io/a/b","updated_tags":null}`, "!updated no tag"},
		{"quay", "", `{"repository":"a/b","docker_url":"quay.io/a/b","updated_tags":["latest","foo"]}`, "quay.io/a/b:latest | quay.io/a/b:foo"},
		{"quay", "", `{"repository":"a/b","updated_tags":["1"]}`, "!!no repository and docker_url"},
		{"quay", "", `{"repository":{"name":"b"},"docker_url":"quay.io/a/b"}`, "!!is a object"},

		{"acr", "", `{"action":"push","target":{"repository":"w","tag":"1","digest":null},"request":{"host":"a.azurecr.io"}}`, "a.azurecr.io/w:1"},
		{"acr", "", `{"action":"push","target":{"repository":"w","tag":"1"}}`, "!at which registry"},
		{"acr", "", `{"action":"push","target":{"repository":"w","tag":""},"request":{"host":"a.azurecr.io"}}`, "!has no tag"},
		{"acr", "", `{"action":"ping"}`, "!ping"},
		{"acr", "", `{"action":"push"}`, "!!no target"},
		{"acr", "", `{"target":{"repository":"w"}}`, "!!no action"},
		{"acr", "", `{"action":"push","target":{"repository":"w","tag":1}}`, "!!is a number"},

		{"acr-eventgrid", "", `[]`, "!empty"},
		{"acr-eventgrid", "", `[7,{"type":"Microsoft.ContainerRegistry.ImagePushed","data":{"target":{"repository":"w","tag":"1"},"request":{"host":"a.azurecr.io"}}}]`, "a.azurecr.io/w:1 | !not understood"},
		{"acr-eventgrid", "", `{"type":"Microsoft.ContainerRegistry.ImagePushed"}`, "!no data"},
		{"acr-eventgrid", "", `{"type":"Microsoft.ContainerRegistry.ImagePushed","data":{}}`, "!no target"},
		{"acr-eventgrid", "", `{"type":"Microsoft.ContainerRegistry.ImagePushed","data":{"action":"delete","target":{"repository":"w","tag":"1"}}}`, "!no push"},
		{"acr-eventgrid", "", `{"type":"Microsoft.Storage.BlobCreated","data":{}}`, "!no push"},
		{"acr-eventgrid", "", `{"type":"com.acme.x","data":{}}`, "!!no event of Event Grid"},
		{"acr-eventgrid", "Ce-Type: Microsoft.ContainerRegistry.ImagePushed\nCe-Id: 7", `{"target":{"repository":"w","tag":"1"},"request":{"host":"a.azurecr.io"}}`, "a.azurecr.io/w:1"},
		{"acr-eventgrid", "Ce-Type: com.acme.x", `{}`, "!!not one of Event Grid"},
		{"acr-eventgrid", "Ce-Type: Microsoft.ContainerRegistry.ImagePushed", `{`, "!!not JSON"},

		{"google-artifact-registry", "", pubsub(`{"action":"INSERT","tag":"eu.gcr.io/acme.io/p/w:1"}`), "eu.gcr.io/acme.io/p/w:1"},
		{"google-artifact-registry", "", pubsub(`{"action":"INSERT","tag":"localhost:5000/w"}`), "!has no tag"},
		{"google-artifact-registry", "", pubsub(`{"action":"INSERT","tag":"w:1"}`), "!no image name"},
		{"google-artifact-registry", "", pubsub(`{"action":"UPDATE","tag":"gcr.io/p/w:1"}`), "!no push"},
		{"google-artifact-registry", "", pubsub(`{"action":"INSERT"}`), "!!no action and tag"},
		{"google-artifact-registry", "", pubsub(`{"action":"INSERT","tag":7}`), "!!in the message's data"},
		{"google-artifact-registry", "", pubsub(`[]`), "!!in the message's data"},
		{"google-artifact-registry", "", `{"message":{"data":"&"},"subscription":"s"}`, "!!not base64"},
		{"google-artifact-registry", "", `{"message":{"attributes":{"a":"b"}},"subscription":"s"}`, "!!no data"},
		{"google-artifact-registry", "", `{"action":"INSERT","tag":"gcr.io/p/w:1","digest":{}}`, "gcr.io/p/w:1"},

		{"ecr", "", ecr(`{"action-type":"PUSH","result":"SUCCESS","repository-name":"w","image-tag":"1"}`), "123456789012.dkr.ecr.eu-west-1.amazonaws.com/w:1"},
		{"ecr", "", strings.Replace(ecr(`{"action-type":"PUSH","result":"SUCCESS","repository-name":"w","image-tag":"1"}`), "eu-west-1", "us-gov-west-1", 1), "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/w:1"},
		{"ecr", "", strings.Replace(ecr(`{"action-type":"PUSH","result":"SUCCESS","repository-name":"w","image-tag":"1"}`), "eu-west-1", "us-iso-east-1", 1), "!at which registry"},
		{"ecr", "", strings.Replace(ecr(`{"action-type":"PUSH","result":"SUCCESS","repository-name":"w","image-tag":"1"}`), "eu-west-1", "x/../y", 1), "!at which registry"},
		{"ecr", "", strings.Replace(ecr(`{"action-type":"PUSH","result":"SUCCESS","repository-name":"w","image-tag":"1"}`), "123456789012", "12", 1), "!at which registry"},
		{"ecr", "", ecr(`{"action-type":"PUSH","result":"SUCCESS","repository-name":"w","image-tag":1}`), "!!in its detail"},
		{"ecr", "", ecr(`{"action-type":"PUSH","repository-name":"w","image-tag":"1"}`), "!ended with"},
		{"ecr", "", `{"source":"aws.ecr","detail-type":"ECR Pull Through Cache Action","detail":{}}`, "!no push"},
		{"ecr", "", `{"source":"aws.s3","detail-type":"Object Created","detail":{}}`, "!no push"},
		{"ecr", "", `{"repository":"w","tag":"1"}`, "!!input transformer"},
		{"ecr", "X-Amz-Sns-Message-Type: Notification", `{"Type":"Notification","Message":"hello"}`, "!!in the message"},
		{"ecr", "X-Amz-Sns-Message-Type: Notification", `{"Type":"Else"}`, "!!unknown type"},
		{"ecr", "X-Amz-Sns-Message-Type: Notification", `[]`, "!!where an object"},

		{"artifactory", "", `{"domain":"docker","event_type":"pushed","data":{"repo_key":"local","image_name":"w","tag":"1","sha256":"` + digest[7:] + `"},"jpd_origin":"https://a.jfrog.io/artifactory"}`, "a.jfrog.io/local/w:1"},
		{"artifactory", "", `{"domain":"docker","event_type":"pushed","data":{"repo_key":"docker-remote-cache","image_name":"w","tag":"1"},"jpd_origin":"https://a.jfrog.io"}`, "a.jfrog.io/docker/w:1"},
		{"artifactory", "", `{"domain":"docker","event_type":"pushed","data":{"repo_key":"local","image_name":"w","tag":"1","image_type":"helm"},"jpd_origin":"https://a.jfrog.io"}`, "!no push of an image"},
		{"artifactory", "", `{"domain":"docker","event_type":"pushed","data":{"repo_key":"local","image_name":"w","tag":"1","image_type":"OCI"},"jpd_origin":"https://a.jfrog.io"}`, "a.jfrog.io/local/w:1"},
		{"artifactory", "", `{"domain":"docker","event_type":"pushed","data":{"tag":"1"},"jpd_origin":"https://a.jfrog.io"}`, "!!no repo_key and image_name"},
		{"artifactory", "", `{"domain":"docker","event_type":"pushed"}`, "!!no data"},
		{"artifactory", "", `{"domain":"docker","event_type":"pushed","data":[]}`, "!!in its data"},
		{"artifactory", "", `{"domain":"build","event_type":"uploaded","data":{}}`, "!of the domain build"},
		{"artifactory", "", `{"domain":"docker"}`, "!!no event_type"},
		{"artifactory", "", `{"event_type":"pushed"}`, "!!neither a domain"},

		{"nexus", "", `{"repositoryName":"r","action":"CREATED","component":{"format":"docker","name":"a/b","version":"1","group":null}}`, "registry.example.com/a/b:1"},
		{"nexus", "", `{"repositoryName":"r","action":"UPDATED","asset":{"format":"docker","name":"/v2/a/manifests/b/manifests/1"}}`, "registry.example.com/a/manifests/b:1"},
		{"nexus", "", `{"repositoryName":"r","action":"PURGED","component":{"format":"docker","name":"a/b","version":"1"}}`, "!no push"},
		{"nexus", "", `{"repositoryName":"r","action":"CREATED","component":{"format":"docker","name":"a/b","version":"` + digest + `"}}`, "!by digest"},
		{"nexus", "", `{"repositoryName":"r","action":"CREATED"}`, "!!component or asset"},
		{"nexus", "", `{"action":"CREATED","component":{"format":"docker"}}`, "!!no repositoryName"},
		{"nexus", "", `{"repositoryName":"r","action":"CREATED","component":"docker"}`, "!!is a string"},

		{"zot", "Ce-Type: org.acme.image.updated", `{"name":"w","reference":"1"}`, "registry.example.com/w:1"},
		{"zot", "Content-Type: application/cloudevents+json", `{"specversion":"1.0","id":"7","type":"zotregistry.image.updated","data":{"name":"w","reference":"1"}}`, "registry.example.com/w:1"},
		{"zot", "Ce-Type: zotregistry.image.updated", `{"reference":"1"}`, "!!no name"},
		{"zot", "Ce-Type: zotregistry.image.updated", `{"name":"w","reference":1}`, "!!is a number"},
		{"zot", "Ce-Type: org.acme.image.signed", `{"name":"w","reference":"1"}`, "!!not one of zot's"},
		{"zot", "", `{"name":"w","reference":"1"}`, "!!event's type"},
		{"zot", "Content-Type: application/cloudevents+json", `7`, "!!where an object"},

		{"cloudevents", "", `{"specversion":"1.0","id":"7","type":"container.image.pushed","source":"https://r.io/x","data":{"repository":"w","tag":"1"}}`, "r.io/w:1"},
		{"cloudevents", "", `{"specversion":"1.0","id":"7","type":"container.image.push","source":"/x","data":{"registry":"https://R.io/","repository":"w","tag":"1","digest":7}}`, "r.io/w:1"},
		{"cloudevents", "", `{"specversion":"1.0","id":"7","type":"container.image.push","source":"/x","data":{"repository":"w","tag":"1"}}`, "!at which registry"},
		{"cloudevents", "", `{"specversion":"1.0","id":"7","type":"container.image.push","data":{"registry":"r.io","repository":"w","tag":1}}`, "!!tag is no text"},
		{"cloudevents", "", `{"specversion":"1.0","id":"7","type":"container.image.push","data":{"image":"w"}}`, "!!no repository"},
		{"cloudevents", "", `{"specversion":"1.0","id":"7","type":"container.image.push"}`, "!!no data"},
		{"cloudevents", "", `{"specversion":"1.0","id":"7","type":"container.image.push","data_base64":"&"}`, "!!not base64"},
		{"cloudevents", "", `{"specversion":"1.0","id":"7","type":"container.image.push","datacontenttype":"text/xml","data":"<x/>"}`, "!!not JSON"},
		{"cloudevents", "", `{"specversion":"0.3","id":"7","type":"container.image.push","data":{}}`, "!!only 1.0"},
		{"cloudevents", "", `{"specversion":"1.0","type":"container.image.push","data":{}}`, "!!no specversion, type and id"},
		{"cloudevents", "", `{"specversion":"1.0","id":"7","type":"harbor.artifact.pushed","data":{}}`, "!!its type is"},
		{"cloudevents", "", `[]`, "!empty"},
		{"cloudevents", "Content-Type: application/cloudevents+xml", `<x/>`, "!!only JSON"},
		{"cloudevents", "Content-Type: application/cloudevents-batch+json; charset=utf-8", `[{"specversion":"1.0","id":"7","type":"x"},{}]`, "!not one of types | !not understood"},
		{"cloudevents", "Ce-Type: container.image.push\nCe-Id: 7\nCe-Specversion: 1.0\nCe-Source: https%3A%2F%2Fr.io", `{"repository":"w","tag":"1"}`, "r.io/w:1"},
	} {
		s := sender(t, test.kind, strongSecret)
		decoded, err := s.Decode(Request{Method: http.MethodPost, Header: parseHeaders(test.headers), Body: []byte(test.body)})
		var got []string
		for _, push := range decoded.Pushes {
			got = append(got, string(push.Name())+":"+push.Tag)
		}
		for _, ignored := range decoded.Ignored {
			got = append(got, "!"+ignored.Reason)
		}
		var undecoded *DecodeError
		if errors.As(err, &undecoded) {
			got = append(got, "!!"+undecoded.Reason)
		} else if err != nil {
			t.Errorf("%s: %v; want a DecodeError", test.kind, err)
		}
		want := strings.Split(test.want, " | ")
		right := len(got) == len(want)
		for i := 0; right && i < len(got); i++ {
			mark := want[i][:len(want[i])-len(strings.TrimLeft(want[i], "!"))]
			right = strings.HasPrefix(got[i], mark) && !strings.HasPrefix(got[i], mark+"!") && strings.Contains(got[i], want[i][len(mark):]) &&
				(mark != "" || got[i] == want[i])
		}
		if !right {
			t.Errorf("%s given %s:\n got %q\nwant %q", test.kind, test.body, got, want)
		}
	}
}

func TestDigestOfAnotherImageIsDropped(t *testing.T) {
	const digest = "sha256:e37f46c7187b484386061be26abfe5d3b98e9173932a9d1d15ed2edc3fa34d77"
	for name, want := range map[string]string{"gcr.io/p/w": digest, "gcr.io/p/other": ""} {
		body := `{"action":"INSERT","tag":"gcr.io/p/w:1","digest":"` + name + `@` + digest + `"}`
		decoded, err := sender(t, "google-artifact-registry", "").Decode(Request{Body: []byte(body), Header: http.Header{}})
		if err != nil || len(decoded.Pushes) != 1 || decoded.Pushes[0].Digest != want {
			t.Errorf("%s = %+v, %v; want the digest %q", body, decoded, err, want)
		}
	}
}

func TestAlias(t *testing.T) {
	for _, test := range []struct{ kind, host, alias, want string }{
		{"artifactory", "", "", "a.jfrog.io/local/w:1"},
		{"artifactory", "", "other=docker", "a.jfrog.io/local/w:1"},
		{"artifactory", "", "local=docker", "a.jfrog.io/docker/w:1"},
		{"artifactory", "", "other=x, local = virtual/sub", "a.jfrog.io/virtual/sub/w:1"},
		{"artifactory", "", "local=.", "a.jfrog.io/w:1"},
		{"artifactory", "", "local=docker.acme.io", "docker.acme.io/w:1"},
		{"artifactory", "", "local=docker.acme.io:5000/team", "docker.acme.io:5000/team/w:1"},
		{"artifactory", "registry.acme.io", "local=.", "registry.acme.io/w:1"},
		{"artifactory", "registry.acme.io", "local=docker.acme.io", "docker.acme.io/w:1"},
		{"nexus", "nexus.acme.io", "", "nexus.acme.io/w:1"},
		{"nexus", "nexus.acme.io", "local=local", "nexus.acme.io/local/w:1"},
		{"nexus", "nexus.acme.io", "dev=nexus.acme.io:8083,local=nexus.acme.io:8082", "nexus.acme.io:8082/w:1"},
	} {
		body := `{"domain":"docker","event_type":"pushed","data":{"repo_key":"local","image_name":"w","tag":"1"},"jpd_origin":"https://a.jfrog.io"}`
		if test.kind == "nexus" {
			body = `{"repositoryName":"local","action":"CREATED","component":{"format":"docker","name":"w","version":"1"}}`
		}
		e := Endpoint{Host: test.host}
		if test.alias != "" {
			e.Settings = map[string]string{"alias": test.alias}
		}
		decoded, err := senderWith(t, test.kind, secret, e).Decode(Request{Body: []byte(body), Header: http.Header{}})
		if err != nil || len(decoded.Pushes) != 1 || string(decoded.Pushes[0].Name())+":"+decoded.Pushes[0].Tag != test.want {
			t.Errorf("%s with alias %q = %+v, %v; want %s", test.kind, test.alias, decoded, err, test.want)
		}
	}
}

func TestCloudEventsFields(t *testing.T) {
	s := senderWith(t, "cloudevents", secret, Endpoint{Settings: map[string]string{
		"types": "com.acme.*, dev.cdevents.artifact.published.?.?", "registry": "image.host", "repository": "image.path", "tag": "image.version.label", "mediaType": "kind",
	}})
	body := func(name, data string) string {
		return `{"specversion":"1.0","id":"7","source":"//ci","type":"` + name + `","time":"2026-03-02T10:15:04+01:00","data":` + data + `}`
	}
	decoded, err := s.Decode(Request{Body: []byte(body("com.acme.pushed", `{"image":{"host":"r.io","path":"shop/web","version":{"label":"1.0"}},"kind":"x/y","repository":"no","tag":"no"}`)), Header: http.Header{}})
	want := Push{Registry: "r.io", Repository: "shop/web", Tag: "1.0", MediaType: "x/y", Time: time.Date(2026, 3, 2, 9, 15, 4, 0, time.UTC), DeliveryID: "7"}
	if err != nil || len(decoded.Pushes) != 1 || decoded.Pushes[0] != want || decoded.DeliveryID != "7@//ci" {
		t.Errorf("%+v, %v; want %+v", decoded, err, want)
	}
	for data, reason := range map[string]string{
		`{"repository":"shop/web","tag":"1.0","registry":"r.io"}`:                                  "no repository",
		`{"image":{"host":"r.io","path":"shop/web","version":"1.0"}}`:                              "has no tag",
		`{"image":{"host":"r.io","path":["shop"],"version":{"label":"1.0"}}}`:                      "repository is no text",
		`{"image":{"host":"r.io","path":{"a":"b"},"version":{"label":true}}}`:                      "repository and tag is no text",
		`{"image":{"host":"r.io","path":"` + strings.Repeat("a/", 300) + `","version":"1"},"x":1}`: "has no tag",
	} {
		decoded, err := s.Decode(Request{Body: []byte(body("dev.cdevents.artifact.published.0.1", data)), Header: http.Header{}})
		if got := fmt.Sprint(decoded.Ignored, err); len(decoded.Pushes) != 0 || !strings.Contains(got, reason) {
			t.Errorf("%.80s = %s; want %q", data, got, reason)
		}
	}
	one, err := s.Decode(Request{Body: []byte(body("container.image.push", `{}`)), Header: http.Header{}})
	if err != nil || len(one.Ignored) != 1 || !strings.Contains(one.Ignored[0].Reason, "types:") {
		t.Errorf("%+v, %v; want it ignored for its type", one, err)
	}
	long := strings.Replace(body("com.acme.x", `{}`), "//ci", strings.Repeat("long ", 100), 1)
	if one, _ := s.Decode(Request{Body: []byte(strings.Replace(long, "com.acme.x", "y", 1)), Header: http.Header{}}); !strings.HasPrefix(one.DeliveryID, "sha256-") {
		t.Errorf("DeliveryID = %q; want a hash over a long source", one.DeliveryID)
	}
}

// The ways to prove a request that the bodies in testdata do not take.
func TestOtherProofs(t *testing.T) {
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	mac := func(signed string) string {
		m := hmac.New(sha256.New, []byte("s3cret"))
		m.Write([]byte(signed))
		return hex.EncodeToString(m.Sum(nil))
	}
	const giteaForm = "application/x-www-form-urlencoded"
	form := url.Values{"payload": {`{"a":1}`}}.Encode()
	for _, test := range []struct {
		kind, secret string
		settings     map[string]string
		headers      string
		path, query  string
		body         string
		want         bool
	}{
		{"distribution", "s3cret", nil, "Authorization: " + basic("boatlift:s3cret"), "", "", "", true},
		{"distribution", "s3cret", nil, "Authorization: " + basic("s3cret"), "", "", "", false},
		{"distribution", "s3cret", nil, "Authorization: " + basic("s3cret:"), "", "", "", false},
		{"distribution", "s:3:cret", nil, "Authorization: " + basic("boatlift:s:3:cret"), "", "", "", true},
		{"distribution", "Token s3cret", nil, "Authorization: Token s3cret", "", "", "", true},
		{"distribution", "s3cret", nil, "Authorization: s3cret", "", "", "", false},
		{"harbor", "s3cret", nil, "Authorization: s3cret", "", "", "", true},
		{"harbor", "s3cret", nil, "Authorization: Bearer s3cret", "", "", "", true},
		{"harbor", "Bearer s3cret", nil, "Authorization: Bearer s3cret", "", "", "", true},
		{"harbor", "s3cret", nil, "Authorization: Bearer", "", "", "", false},
		{"zot", "s3cret", nil, "Authorization: Bearer s3cret", "", "", "", true},
		{"acr", "s3cret", map[string]string{"header": "X-Boatlift"}, "X-Boatlift: s3cret", "", "", "", true},
		{"acr", "s3cret", map[string]string{"header": "X-Boatlift"}, "Authorization: Bearer s3cret", "", "", "", false},
		{"acr", "s3cret", map[string]string{"header": "X-Boatlift"}, "X-Boatlift: Bearer s3cret", "", "", "", false},
		{"acr", strongSecret, map[string]string{"proof": "path"}, "", strongSecret, "", "", true},
		{"acr", strongSecret, map[string]string{"proof": "path"}, "Authorization: Bearer " + strongSecret, "", "", "", false},
		{"acr", strongSecret, nil, "", strongSecret, "", "", false},
		{"acr-eventgrid", strongSecret, map[string]string{"proof": "header"}, "Authorization: Bearer " + strongSecret, "", "", "", true},
		{"acr-eventgrid", strongSecret, map[string]string{"proof": "query"}, "", "", "access_token=" + strongSecret, "", true},
		{"acr-eventgrid", strongSecret, map[string]string{"proof": "query"}, "", "", "access_token=" + strongSecret + "&access_token=x", "", false},
		{"acr-eventgrid", strongSecret, map[string]string{"proof": "query"}, "", "", "", "", false},
		{"acr-eventgrid", strongSecret, map[string]string{"proof": "query"}, "", "", "access_token=x", "", false},
		{"acr-eventgrid", strongSecret, nil, "", "", "access_token=" + strongSecret, "", false},
		{"ecr", "s3cret", nil, "X-Api-Key: s3cret", "", "", "", true},
		{"ecr", "s3cret", nil, "Authorization: " + basic("boatlift:s3cret"), "", "", "", true},
		{"ecr", "s3cret", map[string]string{"header": "X-Boatlift"}, "X-Boatlift: s3cret", "", "", "", true},
		{"ecr", "s3cret", map[string]string{"header": "X-Boatlift"}, "X-Api-Key: s3cret", "", "", "", false},
		{"ecr", "s3cret", nil, "X-Api-Key: wrong\nAuthorization: Bearer s3cret", "", "", "", false},
		{"ecr", "", map[string]string{"topics": topic}, "X-Api-Key: ", "", "", "", false},
		{"ecr", "", map[string]string{"topics": topic}, "Authorization: Basic Og==", "", "", "", false},
		{"ecr", "s3cret", nil, "X-Api-Key: s3cret\nX-Amz-Sns-Message-Type: Notification", "", "", "", false},
		{"artifactory", "s3cret", map[string]string{"mode": "secret"}, "X-JFrog-Event-Auth: s3cret", "", "", "", true},
		{"artifactory", "s3cret", map[string]string{"mode": "secret"}, "X-JFrog-Event-Auth: " + mac("x"), "", "", "x", false},
		{"artifactory", "s3cret", nil, "X-JFrog-Event-Auth: " + mac("x"), "", "", "x", true},
		{"artifactory", "s3cret", nil, "X-JFrog-Event-Auth: s3cret", "", "", "x", false},
		{"cloudevents", "s3cret", nil, "", "", "access_token=s3cret", "", true},
		{"cloudevents", "s3cret", nil, "Authorization: Bearer s3cret", "", "access_token=s3cret", "", false},
		{"cloudevents", "s3cret", nil, "Authorization: Bearer s3cret", "", "access_token=", "", false},
		{"gitea", "s3cret", nil, "X-Gitea-Signature: " + mac(`{"a":1}`) + "\nContent-Type: " + giteaForm, "", "", form, true},
		{"gitea", "s3cret", nil, "X-Gitea-Signature: " + mac(form) + "\nContent-Type: " + giteaForm, "", "", form, false},
		{"gitea", "s3cret", nil, "X-Gitea-Signature: " + mac("") + "\nContent-Type: " + giteaForm, "", "", "a=b", false},
		{"gitea", "s3cret", nil, "X-Gitea-Signature: ", "", "", "x", false},
		{"gitea", "s3cret", nil, "X-Forgejo-Signature: " + mac("x"), "", "", "x", true},
		{"gitea", "s3cret", nil, "X-Gitea-Signature: \nX-Forgejo-Signature: " + mac("x"), "", "", "x", false},
		{"gitea", "s3cret", nil, "X-Hub-Signature-256: sha256=" + mac("x"), "", "", "x", false},
	} {
		e := endpointFor(t, test.kind, newWorld(t))
		e.Settings = test.settings
		s := senderWith(t, test.kind, test.secret, e)
		query, err := url.ParseQuery(test.query)
		if err != nil {
			t.Fatal(err)
		}
		request := Request{Method: http.MethodPost, Header: parseHeaders(test.headers), Path: test.path, Query: query, Body: []byte(test.body)}
		if err := s.Verify(request); (err == nil) != test.want {
			t.Errorf("%s %v with %q, path %q, query %q: %v; want proved %v", test.kind, test.settings, test.headers, test.path, test.query, err, test.want)
		}
	}
}

// Keys come and go; what cannot be fetched now is undecided, and nobody can have it fetched again and again.
func TestGoogleKeys(t *testing.T) {
	c := trusttest.NewClock(noon)
	w := newWorld(t)
	e := endpointFor(t, "google-artifact-registry", w)
	e.Now = c.Now
	s := senderWith(t, "google-artifact-registry", "", e)
	one := typicalBody(t, "google-artifact-registry")
	verify := func(bearer string) error {
		request := one.request
		request.Header = http.Header{"Authorization": {"Bearer " + bearer}}
		return s.VerifyContext(t.Context(), request)
	}
	good := w.Pages[jwks]
	var undecided *UndecidedError
	var unproved *ProofError
	right := token(t, rsaKeys()[0], "k1", map[string]any{"exp": noon.Add(24 * time.Hour).Unix()})
	for name, p := range map[string]trusttest.Page{
		"down": {Status: http.StatusServiceUnavailable}, "not reached": {Err: errors.New("no route")}, "no keys": {Status: http.StatusOK, Body: `{"keys":[]}`},
		"no JSON": {Status: http.StatusOK, Body: `<html>`}, "a small key": {Status: http.StatusOK, Body: `{"keys":[{"kty":"RSA","kid":"k1","n":"AQAB","e":"AQAB"}]}`},
		"not there": {Status: http.StatusNotFound}, "redirected": {Status: http.StatusFound},
	} {
		w.Set(jwks, p)
		c.Pass(trust.PauseAfterFailure)
		if err := verify(right); !errors.As(err, &undecided) || undecided.RetryAfter() <= 0 {
			t.Errorf("keys are %s: %v; want it undecided", name, err)
		}
	}
	w.Set(jwks, good)
	c.Pass(trust.PauseAfterFailure)
	before := w.Count()
	for range 100 {
		if err := verify(right); err != nil {
			t.Fatal(err)
		}
		if err := verify(token(t, rsaKeys()[1], "k2", nil)); !errors.As(err, &unproved) {
			t.Fatalf("an unknown key: %v", err)
		}
	}
	if got := w.Count() - before; got != 1 {
		t.Errorf("asked for the keys %d times; want once", got)
	}
	// The issuer has a new key: it is fetched when a token names it.
	w.Set(jwks, trusttest.Page{Status: http.StatusOK, Body: strings.Replace(good.Body, `"k1"`, `"k2"`, 1)})
	c.Pass(time.Minute)
	if err := verify(token(t, rsaKeys()[0], "k2", nil)); err != nil {
		t.Errorf("a new key: %v", err)
	}
	if err := verify(right); !errors.As(err, &unproved) {
		t.Errorf("a key that was withdrawn: %v; want a ProofError", err)
	}
	// The other spelling of the issuer, which Google also uses, and a list of audiences.
	if err := verify(token(t, rsaKeys()[0], "k2", map[string]any{"iss": "accounts.google.com", "aud": []string{"x", audience}})); err != nil {
		t.Errorf("the issuer without https: %v", err)
	}
	for _, test := range []struct {
		claim  string
		value  any
		reason string
	}{
		{"aud", "https://elsewhere.io", "another audience"},
		{"email", "x@y.io", "another account"},
		{"email_verified", false, "not verified"},
		{"exp", noon.Unix() - 1, "expired"},
		{"iss", "https://elsewhere.io", "another issuer"},
	} {
		err := verify(token(t, rsaKeys()[0], "k2", map[string]any{test.claim: test.value}))
		if err == nil || !strings.Contains(err.Error(), test.reason) {
			t.Errorf("%s %v: %v; want %q", test.claim, test.value, err, test.reason)
		}
	}
	// A replay is no proof once the token is too old.
	c.Pass(25 * time.Hour)
	if err := verify(token(t, rsaKeys()[0], "k2", nil)); !errors.As(err, &unproved) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("a token of yesterday: %v; want it expired", err)
	}
}
