package conform

import "regexp"

// Exceptions are what is let pass, each with its reason. One that covers nothing any more is reported, so that the list stays short.
func Exceptions() []Exception {
	return []Exception{
		{
			Name:   "a repository by its id",
			Covers: regexp.MustCompile(`^[A-Z]+ /repositories/\{id\}[^,]*: is not in the document$`),
			Reason: "GitHub redirects to it after a rename and answers it, but describes these calls by the repository's name only; they are judged as those",
		},
		{
			Name:   "refusals that every call may meet",
			Covers: regexp.MustCompile(`, answer (401|403|404|429): is not documented$`),
			Reason: "the document names them for some operations; GitHub's pages on authentication, rate limits and troubleshooting have them for all. Their bodies are judged as basic-error",
		},
		{
			Name:   "redirects after a rename",
			Covers: regexp.MustCompile(`, answer (301|307): is not documented$`),
			Reason: "the document names them for some operations; GitHub's page on best practices has them for all. Their bodies are judged as basic-error",
		},
		{
			Name:   "a refusal's member status",
			Covers: regexp.MustCompile(`, answer 4\d\d, /status: is not documented$`),
			Reason: "GitHub sends it in every refusal; basic-error has it, the schemas of validation errors, merge conflicts and merge refusals lag behind",
		},
		{
			Name:   "wrong check runs and statuses",
			Covers: regexp.MustCompile(`^(POST /repos/\{owner\}/\{repo\}/(check-runs|statuses/\{sha\})|GET /repos/\{owner\}/\{repo\}/commits/\{ref\}/statuses), answer 422(, /errors)?: is not documented$`),
			Reason: "GitHub refuses them with 422 like every other input that is wrong, as a commit that is not there any more; the document forgets it for these",
		},
		{
			Name:   "the account of listed installations",
			Covers: regexp.MustCompile(`^GET /app/installations, answer 200, /\*/account: `),
			Reason: "the document wants it to be a user and an enterprise at once (allOf); the same installation asked for by its id is one of the two (anyOf), and judged so",
		},
		{
			Name:   "the permissions of listed installations",
			Covers: regexp.MustCompile(`^GET /app/installations, answer 200, /\*/permissions/merge_queues: is not documented$`),
			Reason: "this one call has a copy of the permissions that lags behind; the schema app-permissions, which all others share, has it",
		},
		{
			Name:   "the events of a ping",
			Covers: regexp.MustCompile(`^webhook ping, /hook/events(/\*)?: (is none of the allowed values|maxItems: .*)$`),
			Reason: "the list of events that a webhook may have lacks merge_group, which has a schema of its own; then it is also judged as if it were the list of one, *",
		},
		{
			Name:   "GraphQL",
			Covers: regexp.MustCompile(`^POST /api/graphql: is no operation of the REST API$`),
			Reason: "it has a schema of its own and is no part of this document; what cannot be done by REST is asked there",
		},
		{
			Name:   "a forge that is told to fail",
			Covers: regexp.MustCompile(`, answer 5\d\d: is not documented and no JSON$`),
			Reason: "tests make the sandbox fail as proxies do; no document says how that looks. A failure of the sandbox's own is JSON, and not let pass",
		},
	}
}
