package registry

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/trust"
)

// Messages of Amazon SNS. A message names the certificate that signed it. Who posts it may name any, so only one that SNS
// itself offers over https is fetched; then the signature proves that Amazon sends it, and the topic, which is signed too,
// that it is not somebody else's.
//
// A subscription is confirmed by calling SNS. The address in the message (SubscribeURL) is not used: the call is made out of
// the topic, which is one of those configured, and the token.
//
// Source: Amazon SNS "HTTP/HTTPS notification JSON format", "Verifying the signatures of Amazon SNS messages",
// "ConfirmSubscription".

// snsMessage is a message of any type.
type snsMessage struct {
	Type             string  `json:"Type"`
	ID               string  `json:"MessageId"`
	Topic            string  `json:"TopicArn"`
	Subject          *string `json:"Subject"`
	Message          string  `json:"Message"`
	Timestamp        string  `json:"Timestamp"`
	Token            string  `json:"Token"`
	SubscribeURL     string  `json:"SubscribeURL"`
	SignatureVersion string  `json:"SignatureVersion"`
	Signature        string  `json:"Signature"`
	CertURL          string  `json:"SigningCertURL"`
}

var (
	snsHost        = regexp.MustCompile(`^sns\.[a-z]{2,4}(-[a-z]{2,12}){1,2}-[0-9]{1,2}\.amazonaws\.com(\.cn)?$`)
	snsCertificate = regexp.MustCompile(`^/SimpleNotificationService-[0-9A-Za-z]{8,64}\.pem$`)
	snsTopic       = regexp.MustCompile(`^arn:aws(-cn|-us-gov)?:sns:([a-z0-9-]{5,30}):[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$`)
	snsToken       = regexp.MustCompile(`^[0-9A-Za-z]{16,1000}$`)
)

// splitTopics reads the setting topics.
func splitTopics(value string) []string {
	var list []string
	for topic := range strings.SplitSeq(value, ",") {
		if topic = strings.TrimSpace(topic); topic != "" {
			list = append(list, topic)
		}
	}
	return list
}

func checkTopics(value string) error {
	for _, topic := range splitTopics(value) {
		if match := snsTopic.FindStringSubmatch(topic); match == nil || awsDomain(match[2]) == "" {
			return fmt.Errorf("%s is no topic of SNS", clip(fmt.Sprintf("%+q", topic)))
		}
	}
	return nil
}

// fromSNS tells a message of SNS from an event of an API destination.
func fromSNS(request Request) bool {
	return request.Header.Get("X-Amz-Sns-Message-Type") != ""
}

func proveSNS(ctx context.Context, kind Type, endpoint Endpoint, request Request) error {
	if endpoint.shelf == nil || endpoint.Settings["topics"] == "" {
		return unproved(kind, request, "it is a message of SNS, and no topic may post here", "list the topic under settings: of this registry: topics: arn:aws:sns:…")
	}
	if strings.EqualFold(request.Header.Get("X-Amz-Sns-Rawdelivery"), "true") {
		return unproved(kind, request, "it was delivered raw, without a signature", "switch raw message delivery of the subscription off")
	}
	var message snsMessage
	if err := json.Unmarshal(request.Body, &message); err != nil {
		return unproved(kind, request, "its signature is not understood: "+explainJSON(err), "")
	}
	if !slices.Contains(splitTopics(endpoint.Settings["topics"]), message.Topic) {
		return unproved(kind, request, "the topic "+subject(message.Topic, "")+" is not one of those that may post here", "list the topic under settings: of this registry, if it is yours")
	}
	signature, err := base64.StdEncoding.DecodeString(message.Signature)
	if err != nil || len(signature) == 0 {
		return unproved(kind, request, "its signature is not base64", "")
	}
	text, ok := message.signed()
	if !ok {
		return unproved(kind, request, "it is a message of an unknown type", "")
	}
	algorithm, sum := crypto.SHA1, []byte(nil)
	switch message.SignatureVersion {
	case "1":
		hash := sha1.Sum([]byte(text))
		sum = hash[:]
	case "2":
		hash := sha256.Sum256([]byte(text))
		algorithm, sum = crypto.SHA256, hash[:]
	default:
		return unproved(kind, request, "its signature is of the unknown version "+subject(message.SignatureVersion, ""), "")
	}
	if at, err := url.Parse(message.CertURL); err != nil || at.RawQuery != "" || !snsCertificate.MatchString(at.Path) {
		return unproved(kind, request, "the certificate it names is not one of SNS", "")
	}
	found, err := endpoint.shelf.Get(ctx, message.CertURL, parseCertificate, func(any) bool { return true })
	var unreached *trust.UnreachedError
	switch {
	case errors.Is(err, trust.ErrNotAllowed):
		return unproved(kind, request, "the certificate it names is not one of SNS", "")
	case errors.As(err, &unreached) && (unreached.Status == http.StatusForbidden || unreached.Status == http.StatusNotFound || unreached.Status == http.StatusOK):
		return unproved(kind, request, "SNS has no such certificate as it names", "")
	case errors.As(err, &unreached):
		return &UndecidedError{Sender: kind.Name, Host: unreached.Host, Reason: unreached.Reason}
	case err != nil:
		return &UndecidedError{Sender: kind.Name, Host: hostOf(message.CertURL), Reason: "it was not waited for"}
	}
	certificate := found.(*x509.Certificate)
	if now := endpoint.Now(); now.Before(certificate.NotBefore) || now.After(certificate.NotAfter) {
		return unproved(kind, request, "the certificate it names is not valid now", "check the clock of this machine")
	}
	if rsa.VerifyPKCS1v15(certificate.PublicKey.(*rsa.PublicKey), algorithm, sum, signature) != nil {
		return unproved(kind, request, "its signature is not that of this message", "")
	}
	return nil
}

// signed is the text that SNS signs: names and values, a line each, in the order of the names.
func (m *snsMessage) signed() (string, bool) {
	var b strings.Builder
	line := func(name, value string) {
		b.WriteString(name)
		b.WriteByte('\n')
		b.WriteString(value)
		b.WriteByte('\n')
	}
	line("Message", m.Message)
	line("MessageId", m.ID)
	switch m.Type {
	case "Notification":
		if m.Subject != nil {
			line("Subject", *m.Subject)
		}
	case "SubscriptionConfirmation", "UnsubscribeConfirmation":
		line("SubscribeURL", m.SubscribeURL)
	default:
		return "", false
	}
	line("Timestamp", m.Timestamp)
	if m.Type != "Notification" {
		line("Token", m.Token)
	}
	line("TopicArn", m.Topic)
	line("Type", m.Type)
	return b.String(), true
}

func parseCertificate(body []byte) (any, error) {
	block, _ := pem.Decode(body)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("its answer is no certificate")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, errors.New("its answer is no certificate")
	}
	if key, ok := certificate.PublicKey.(*rsa.PublicKey); !ok || key.N.BitLen() < 2048 {
		return nil, errors.New("its certificate has no RSA key of 2048 bits")
	}
	return certificate, nil
}

// confirmSNS confirms a subscription that has been proved.
func confirmSNS(ctx context.Context, kind Type, endpoint Endpoint, request Request) (*Answer, error) {
	var message snsMessage
	if err := json.Unmarshal(request.Body, &message); err != nil || message.Type != "SubscriptionConfirmation" {
		return nil, nil // Decode says what it is
	}
	match := snsTopic.FindStringSubmatch(message.Topic)
	if endpoint.shelf == nil || match == nil || !slices.Contains(splitTopics(endpoint.Settings["topics"]), message.Topic) || !snsToken.MatchString(message.Token) {
		return nil, undecoded(kind, request, nil, "the subscription is not one that can be confirmed")
	}
	host := "sns." + match[2] + "." + awsDomain(match[2])
	err := endpoint.shelf.Call(ctx, "https://"+host+"/?Action=ConfirmSubscription&Version=2010-03-31&TopicArn="+url.QueryEscape(message.Topic)+"&Token="+message.Token)
	var unreached *trust.UnreachedError
	switch {
	case errors.As(err, &unreached) && unreached.Status >= 400 && unreached.Status < 500:
		return nil, undecoded(kind, request, nil, "SNS does not accept the confirmation of the subscription to "+message.Topic+": "+unreached.Reason)
	case errors.As(err, &unreached):
		return nil, &UndecidedError{Sender: kind.Name, Host: unreached.Host, Reason: unreached.Reason}
	case err != nil:
		return nil, &UndecidedError{Sender: kind.Name, Host: host, Reason: "it was not asked: " + err.Error()}
	}
	return &Answer{Status: http.StatusOK, Reason: "the subscription to " + message.Topic + " is confirmed"}, nil
}
