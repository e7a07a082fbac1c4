package registry

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// ecr is Amazon ECR, whose events come through EventBridge: from an API destination, which proves itself by a key in a header
// or as Basic, or by way of an SNS topic, whose messages Amazon signs (sns.go). An endpoint takes either, or both.
//
// ECR emits events on a best-effort basis, so some never come.
//
// Source: awsdocs/amazon-ecr-user-guide ecr-eventbridge.md; awsdocs/amazon-eventbridge-user-guide eb-api-destinations.md.
func ecr() Type {
	kind := Type{
		Name:    "ecr",
		Title:   "Amazon ECR (EventBridge, SNS)",
		Proof:   "an API key in a header; through SNS, Amazon's signature and the topic",
		Lacks:   []string{"events now and then: they are sent on a best-effort basis"},
		Repeats: Lasting,
		Settings: []Setting{
			{Name: "header", Says: "the API key name of the API destination's connection", Example: "X-Api-Key", Default: "X-Api-Key", Check: checkHeaderName},
			{Name: "topics", Says: "the SNS topics that may post here; several with commas", Example: "arn:aws:sns:eu-west-1:123456789012:ecr-events", Check: checkTopics},
		},
		Secrecy: func(endpoint Endpoint) Secrecy {
			if endpoint.Settings["topics"] != "" && len(endpoint.Secret) == 0 {
				return None
			}
			return Shared
		},
		Reach: reachSNS,
		Looks: func(keys map[string]json.RawMessage, header http.Header) bool {
			return header.Get("X-Amz-Sns-Message-Type") != "" || strings.HasPrefix(header.Get("User-Agent"), "Amazon/EventBridge/") ||
				has(keys, "detail-type", "detail") || has(keys, "Type", "TopicArn", "MessageId")
		},
	}
	kind.Setup = func(endpoint Endpoint, g Guide) string {
		lines := []string{
			"With the AWS CLI, in the account and region of the registry:",
			"",
			"  aws events create-connection --name boatlift --authorization-type API_KEY \\",
			"    --auth-parameters 'ApiKeyAuthParameters={ApiKeyName=" + endpoint.Settings["header"] + ",ApiKeyValue={secret}}'",
			"  aws events create-api-destination --name boatlift --http-method POST --invocation-endpoint '{url}' \\",
			"    --connection-arn ARN_OF_THE_CONNECTION",
			"  aws events put-rule --name boatlift --event-pattern \\",
			`    '{"source": ["aws.ecr"], "detail-type": ["ECR Image Action"], "detail": {"action-type": ["PUSH"], "result": ["SUCCESS"]}}'`,
			"  aws events put-targets --rule boatlift --targets \\",
			"    Id=boatlift,Arn=ARN_OF_THE_API_DESTINATION,RoleArn=ARN_OF_A_ROLE_THAT_MAY_INVOKE_IT",
		}
		if topics := endpoint.Settings["topics"]; topics != "" {
			lines = []string{"With the AWS CLI:", ""}
			for _, topic := range splitTopics(topics) {
				lines = append(lines,
					"  aws sns set-topic-attributes --topic-arn "+topic+" --attribute-name SignatureVersion --attribute-value 2",
					"  aws sns subscribe --topic-arn "+topic+" --protocol https --notification-endpoint '{url}'")
			}
			lines = append(lines, "",
				"Leave raw message delivery off: it drops the signature. The bot has to run and be reachable while you do this: it confirms",
				"the subscription by itself, for the topics under settings: only. EventBridge's rule has the topic as its target, with the",
				"pattern "+`{"source": ["aws.ecr"], "detail-type": ["ECR Image Action"]}`+".")
		}
		return setup(&kind, lines...)(endpoint, g)
	}
	kind.Prove = func(ctx context.Context, endpoint Endpoint, request Request) error {
		if fromSNS(request) {
			return proveSNS(ctx, kind, endpoint, request)
		}
		hint := "set the API key of the API destination's connection to the secret of this registry"
		header := endpoint.Settings["header"]
		if header != "" && len(request.Header.Values(header)) == 0 && len(request.Header.Values("Authorization")) > 0 {
			header = "Authorization" // a connection with Basic
		}
		return verifyNamed(kind, endpoint, request, header, hint)
	}
	kind.Answer = func(ctx context.Context, endpoint Endpoint, request Request) (*Answer, error) {
		if !fromSNS(request) {
			return nil, nil
		}
		return confirmSNS(ctx, kind, endpoint, request)
	}
	kind.Decode = func(endpoint Endpoint, request Request) (Decoded, error) { return decodeECR(kind, endpoint, request) }
	return kind
}

// ecrEvent is the part of EventBridge's event that is used.
type ecrEvent struct {
	ID      text            `json:"id"`
	Time    moment          `json:"time"`
	Account string          `json:"account"`
	Region  string          `json:"region"`
	Source  string          `json:"source"`
	Kind    string          `json:"detail-type"`
	Detail  json.RawMessage `json:"detail"`
}

func decodeECR(kind Type, endpoint Endpoint, request Request) (Decoded, error) {
	body, id := request.Body, ""
	if fromSNS(request) {
		var message snsMessage
		if err := json.Unmarshal(request.Body, &message); err != nil {
			return Decoded{}, undecoded(kind, request, request.Body, explainJSON(err))
		}
		c := newCollector(endpoint)
		switch message.Type {
		case "Notification":
		case "SubscriptionConfirmation":
			c.ignore("SNS asks whether a subscription is wanted; that is answered, not stored")
			return c.result(message.ID), nil
		case "UnsubscribeConfirmation":
			c.ignore("the topic " + subject(message.Topic, "") + " no longer posts here; subscribe this endpoint again if that was not meant")
			return c.result(message.ID), nil
		default:
			return Decoded{}, undecoded(kind, request, request.Body, "it is a message of SNS of an unknown type, "+subject(message.Type, ""))
		}
		body, id = []byte(message.Message), message.ID
	}
	var e ecrEvent
	if err := json.Unmarshal(body, &e); err != nil {
		if fromSNS(request) {
			return Decoded{}, undecoded(kind, request, request.Body, "in the message, "+explainJSON(err))
		}
		return Decoded{}, undecoded(kind, request, request.Body, explainJSON(err))
	}
	if id == "" {
		id = string(e.ID)
	}
	if e.Source == "" || e.Kind == "" || len(e.Detail) == 0 {
		return Decoded{}, undecoded(kind, request, request.Body, "it is no event of EventBridge, with source, detail-type and detail; one that an input transformer has changed is for type: cloudevents")
	}
	c := newCollector(endpoint)
	if e.Source != "aws.ecr" || e.Kind != "ECR Image Action" {
		c.ignore("the event " + subject(e.Kind, "") + " of " + subject(e.Source, "") + " is no push")
		return c.result(id), nil
	}
	var detail struct {
		Result     string `json:"result"`
		Repository string `json:"repository-name"`
		Action     string `json:"action-type"`
		Tag        string `json:"image-tag"` // missing or empty where an image of one platform is meant
		Digest     text   `json:"image-digest"`
		MediaType  text   `json:"manifest-media-type"`
	}
	if err := json.Unmarshal(e.Detail, &detail); err != nil {
		return Decoded{}, undecoded(kind, request, request.Body, "in its detail, "+explainJSON(err))
	}
	switch {
	case detail.Action != "PUSH":
		c.ignore(subject(detail.Action, "") + " of " + subject(detail.Repository, detail.Tag) + " is no push")
	case detail.Result != "SUCCESS":
		c.ignore("push of " + subject(detail.Repository, detail.Tag) + " ended with " + subject(detail.Result, ""))
	default:
		c.push(event{
			host: ecrHost(e.Account, e.Region), repository: detail.Repository, tag: detail.Tag, digest: string(detail.Digest),
			mediaType: string(detail.MediaType), time: e.Time.Time, id: id,
		})
	}
	return c.result(id), nil
}

var (
	awsAccount = regexp.MustCompile(`^[0-9]{12}$`)
	awsRegion  = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]{2,12}){1,2}-[0-9]{1,2}$`)
)

// awsDomain is where a region's services are; empty for regions apart, whose domains differ from service to service.
func awsDomain(region string) string {
	switch {
	case !awsRegion.MatchString(region), strings.HasPrefix(region, "us-iso"), strings.HasPrefix(region, "eu-iso"), strings.HasPrefix(region, "eusc-"):
		return ""
	case strings.HasPrefix(region, "cn-"):
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

// ecrHost is the host of an account's private registry, or nothing where that cannot be told.
func ecrHost(account, region string) string {
	domain := awsDomain(region)
	if domain == "" || !awsAccount.MatchString(account) {
		return ""
	}
	return account + ".dkr.ecr." + region + "." + domain
}

// reachSNS is true of the certificates by which SNS signs, and of SNS itself.
func reachSNS(_ Endpoint, at *url.URL) bool {
	if !snsHost.MatchString(at.Host) {
		return false
	}
	return at.RawQuery == "" && snsCertificate.MatchString(at.Path) || at.Path == "/" && strings.HasPrefix(at.RawQuery, "Action=ConfirmSubscription&")
}
