// Package login gets short-lived credentials for the registries of clouds, from what the machine is or has been given: Amazon's ECR by the
// default chain of the AWS SDK, Google's Artifact Registry by its application default credentials, Azure's registry by an identity of
// Entra. No secret is configured for them, and no program is run.
//
// A Helper keeps a credential until it is about to expire, asks for a new one once however many wait for it, within a time, and gives the
// reason where that fails. It gives a credential only for hosts of its own cloud, so that a wrong line of configuration cannot send one
// elsewhere. It is safe for concurrent use. Nothing is written to disk.
//
// # Decisions
//
// Amazon's credential helper is used to understand hosts, and not to ask: it knows no context, panics where it cannot be configured, hides
// why it failed, and keeps tokens in a file. What it calls, the SDK's GetAuthorizationToken, is called here.
//
// Of go-containerregistry's Google package the authenticator is used, and not the keychain, which runs gcloud where it finds nothing, and
// then asks anonymously.
//
// Azure's exchange is spoken here, in three requests that are documented. The library for it
// (chrismellard/docker-credential-acr-env) stands on an SDK that is archived since 2023, and knows neither context nor time-out.
package login
