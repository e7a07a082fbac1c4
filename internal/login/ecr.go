package login

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/smithy-go"
	"github.com/awslabs/amazon-ecr-credential-helper/ecr-login/api"
)

// isECR tells a private registry of Amazon's; the public one needs no login.
func isECR(host string) bool {
	registry, err := api.ExtractRegistry(bare(host))
	return err == nil && registry.Service == api.ServiceECR
}

// told is what an error of the SDK comes down to: what AWS answered, or what went wrong first.
func told(err error) error {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return fmt.Errorf("%s: %s", answer.ErrorCode(), answer.ErrorMessage())
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}

// newECR asks as whom the SDK's default chain finds: environment, profile, web identity (IRSA), the container's or the machine's role.
func newECR(client aws.HTTPClient) source {
	return source{
		fits: isECR,
		hint: "the bot must run as a role that may ecr:GetAuthorizationToken, ecr:BatchGetImage and ecr:GetDownloadUrlForLayer",
		get: func(ctx context.Context, host string) (Credential, error) {
			registry, err := api.ExtractRegistry(bare(host))
			if err != nil {
				return Credential{}, err
			}
			options := []func(*config.LoadOptions) error{config.WithRegion(registry.Region), config.WithHTTPClient(client), config.WithRetryMaxAttempts(2)}
			if registry.FIPS {
				options = append(options, config.WithUseFIPSEndpoint(aws.FIPSEndpointStateEnabled))
			}
			loaded, err := config.LoadDefaultConfig(ctx, options...)
			if err != nil {
				return Credential{}, fmt.Errorf("read AWS's configuration: %w", err)
			}
			answer, err := ecr.NewFromConfig(loaded).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
			if err != nil {
				return Credential{}, told(err)
			}
			if len(answer.AuthorizationData) == 0 {
				return Credential{}, errors.New("the answer has no token")
			}
			data := answer.AuthorizationData[0]
			text, err := base64.StdEncoding.DecodeString(aws.ToString(data.AuthorizationToken))
			name, password, ok := strings.Cut(string(text), ":")
			if err != nil || !ok {
				return Credential{}, errors.New("the answer's token is not understood")
			}
			return Credential{Username: name, Password: password, Expires: aws.ToTime(data.ExpiresAt)}, nil
		},
	}
}
