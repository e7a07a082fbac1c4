// Package conform judges what the bot and the sandbox say to each other by GitHub's own documents: calls of the API and their answers by
// the OpenAPI document that GitHub publishes, webhooks by Octokit's JSON schemas. Both are npm packages, which make contract installs;
// package.json pins them, package-lock.json by their hashes. Nothing but tests uses this package, and no document is part of Boatlift.
//
// A [Judge] listens to hubs while tests use them, so whatever traffic tests add is judged without being named anywhere. Of a request of
// the bot it judges method and path, the parameters in path and query, the body; of an answer the status, the content type, the body; of
// a webhook the body, by the schema of its event and action. Members that no schema knows are findings too, although schemas allow them:
// the bot must not send what GitHub does not know, nor the sandbox say what GitHub does not say.
//
// What does not conform is mended. What cannot be has a name and a reason in [Exceptions], and one that covers nothing any more is
// reported as well.
//
// # Limits
//
// The document is OpenAPI 3.0.3, with nullable and without the keywords of 3.1, and it describes GitHub's newest version of the API; the
// bot asks for 2022-11-28, of which there is no document any more. kin-openapi judges all of it but for two things. It does not know the
// formats uri and uri-template, which are judged here. And it takes what the document gives as default for wrong where the default itself
// breaks the schema's format, as the empty target_url of a deployment status does; such values are let pass. Its router does not let a
// branch or a path hold slashes, so operations are found here. GraphQL, git and the pages are no part of the document.
package conform
