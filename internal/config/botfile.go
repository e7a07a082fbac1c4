package config

// botFile is the shape of boatlift.yaml, the bot's own file. The tags are explained at field.
type botFile struct {
	object
	Listen     text            `json:"listen,omitempty" eg:"listen: 127.0.0.1:8080" jsonschema:"default=127.0.0.1:8080" jsonschema_description:"The address on which webhooks are heard. A proxy with TLS stands before it."`
	PublicURL  text            `json:"publicURL,omitempty" eg:"publicURL: https://boatlift.acme.io" jsonschema_description:"The address under which people and senders of webhooks reach the bot; links lead there."`
	Database   text            `json:"database,omitempty" eg:"database: sqlite:boatlift.db" jsonschema:"pattern=^(sqlite|env|file|postgres|postgresql):.,default=sqlite:boatlift.db" jsonschema_description:"Where state is kept: sqlite: and a file, a relative one in dataDir; or env:NAME or file:/path that holds the URL of a PostgreSQL database."`
	DataDir    text            `json:"dataDir,omitempty" eg:"dataDir: /var/lib/boatlift" jsonschema:"default=boatlift-data" jsonschema_description:"The folder for the database, caches and the socket for commands. BOATLIFT_DATA in the environment overrides it."`
	Registries []registryEntry `json:"registries,omitempty" eg:"registries: [{name: acme, type: distribution, secret: env:REGISTRY_SECRET}]" jsonschema_description:"The registries whose pushes are heard, each at /hooks/NAME."`
	Forges     []forgeEntry    `json:"forges,omitempty" eg:"forges: [{name: github, type: github, appID: 12345, privateKey: file:app.pem, webhookSecret: env:WEBHOOK_SECRET}]" jsonschema_description:"The forges where infra repositories are, each with its webhook at /hooks/NAME."`
	Tokens     []tokenEntry    `json:"tokens,omitempty" eg:"tokens: [{name: release-managers, role: operate, token: env:OPERATE_TOKEN}]" jsonschema_description:"Who may ask the bot over the network, at /api/v1. None: only who can open its socket."`
	Pipelines  []pipelineEntry `json:"pipelines,omitempty" eg:"pipelines: [{name: builds, type: github-actions, repositories: [acme/shop], images: [registry.acme.io/shop/*]}]" jsonschema_description:"Jobs of continuous integration that may call the bot at /api/v1 with the token that GitHub or GitLab gives them (OIDC)."`
	Require    *requireEntry   `json:"require,omitempty" eg:"require: {merge: approved}" jsonschema_description:"What is asked of every infra repository: it can be stricter, never looser."`
	PolicyDir  text            `json:"policyDir,omitempty" eg:"policyDir: policies" jsonschema_description:"A folder with policies of the organisation's own, each a YAML file as boatlift policy explain describes them, with tests beside it. Relative to the folder of this file. Repositories use them by name."`
	Poll       span            `json:"poll,omitempty" eg:"poll: 10m" jsonschema:"default=10m" jsonschema_description:"How often a repository is looked at although nothing happened."`
	Workers    number          `json:"workers,omitempty" eg:"workers: 4" jsonschema:"minimum=1,maximum=64,default=4" jsonschema_description:"How many repositories are worked on at once."`
	Log        *logEntry       `json:"log,omitempty" eg:"log: {level: info, format: text}" jsonschema_description:"What the bot writes to its standard error."`
	Limits     *limitsEntry    `json:"limits,omitempty" eg:"limits: {writesPerMinute: 80, writesPerHour: 500}" jsonschema_description:"How many writes the bot does at a forge for each installation. What is above that waits in a line."`
}

type limitsEntry struct {
	object
	WritesPerMinute number `json:"writesPerMinute,omitempty" eg:"writesPerMinute: 80" jsonschema:"minimum=0,maximum=100000,default=80" jsonschema_description:"Writes in any minute; at least 10, or 0 for no limit."`
	WritesPerHour   number `json:"writesPerHour,omitempty" eg:"writesPerHour: 500" jsonschema:"minimum=0,maximum=100000,default=500" jsonschema_description:"Writes in any hour; at least 10, or 0 for no limit."`
}

type registryEntry struct {
	object
	Name        text              `json:"name" eg:"name: acme" jsonschema:"pattern=^[a-z0-9]([a-z0-9-]*[a-z0-9])?$,maxLength=63" jsonschema_description:"Its webhook is /hooks/NAME. Unique among registries and forges."`
	Type        text              `json:"type" eg:"type: distribution" jsonschema_description:"What the registry is, as distribution or ghcr. It decides how a webhook is proved and read."`
	Host        text              `json:"host,omitempty" eg:"host: registry.acme.io" jsonschema_description:"The registry's host as images name it. Default: what webhooks say, or the type's own."`
	Secret      secretSources     `json:"secret,omitempty" eg:"secret: env:REGISTRY_SECRET" jsonschema_description:"What proves that a webhook comes from the registry: env:NAME or file:/path; or a list of such, while one is changed. Needed, unless webhook or poll is given."`
	Webhook     text              `json:"webhook,omitempty" eg:"webhook: github" jsonschema_description:"For type ghcr: the forge by whose App webhook the pushes come, instead of a webhook and secret of their own."`
	Settings    settings          `json:"settings,omitempty" eg:"settings: {audience: https://boatlift.acme.io}" jsonschema_description:"What the type needs besides: boatlift hooks list names them."`
	Credentials *credentialsEntry `json:"credentials,omitempty" eg:"credentials: {username: bot, password: env:REGISTRY_PASSWORD}" jsonschema_description:"The account that reads tags and digests. Needs host. Default: what docker login has left, else anonymous."`
	Insecure    boolean           `json:"insecure,omitempty" eg:"insecure: true" jsonschema:"default=false" jsonschema_description:"Ask the host without TLS. Needs host."`
	Poll        every             `json:"poll,omitempty" eg:"poll: 5m" jsonschema_description:"How often the registry is asked for tags of which no webhook told, or off. Needs host, unless the type has its own. Default: the type's own, which boatlift hooks list names. With a duration here secret may be left out: then there is no webhook."`
}

type tokenEntry struct {
	object
	Name    text           `json:"name" eg:"name: release-managers" jsonschema:"pattern=^[a-z0-9]([a-z0-9-]*[a-z0-9])?$,maxLength=63" jsonschema_description:"Who it is, for the audit."`
	Role    text           `json:"role" eg:"role: read" jsonschema:"enum=read,enum=operate,enum=override,enum=push,enum=certify" jsonschema_description:"What it may do: read, also operate (hold, lift, resume, sync), also override the gate. Or push: only tell of pushes of its images. Or certify: only tell what the tests found that certify lists."`
	Token   secretSource   `json:"token" eg:"token: env:OPERATE_TOKEN" jsonschema_description:"The bearer token, at least 20 characters: env:NAME or file:/path."`
	Images  []text         `json:"images,omitempty" eg:"images: [registry.acme.io/shop/*]" jsonschema_description:"For role push: the images of which it may tell that they were pushed."`
	Certify []certifyEntry `json:"certify,omitempty" eg:"certify: [{names: [playwright], environments: [\"acme/infra-acceptance:acceptance\"]}]" jsonschema:"minItems=1" jsonschema_description:"What it may certify, and where. No role includes it."`
}

type certifyEntry struct {
	object
	Names        []text `json:"names" eg:"names: [playwright]" jsonschema:"minItems=1" jsonschema_description:"Names as verify has them in .boatlift.yaml. * is any characters."`
	Environments []text `json:"environments" eg:"environments: [\"acme/infra-acceptance:acceptance\"]" jsonschema:"minItems=1" jsonschema_description:"Environments, as owner/name:environment. * is any characters of one part."`
}

type pipelineEntry struct {
	object
	Name         text           `json:"name" eg:"name: builds" jsonschema:"pattern=^[a-z0-9]([a-z0-9-]*[a-z0-9])?$,maxLength=63" jsonschema_description:"Who it is, for the log."`
	Type         text           `json:"type" eg:"type: github-actions" jsonschema:"enum=github-actions,enum=gitlab-ci" jsonschema_description:"Whose jobs they are."`
	Issuer       text           `json:"issuer,omitempty" eg:"issuer: https://gitlab.acme.io" jsonschema_description:"Who signs their tokens: https://HOST of a GitLab of your own, https://HOST/_services/token of a GitHub Enterprise Server. Default: github.com's, gitlab.com."`
	Audience     text           `json:"audience,omitempty" eg:"audience: https://boatlift.acme.io" jsonschema_description:"For whom the tokens have to be. Default: publicURL."`
	Repositories []text         `json:"repositories" eg:"repositories: [acme/shop]" jsonschema_description:"Whose jobs: owner/name or group/project. * is any characters of one element, ** at the end any number of elements."`
	Refs         []text         `json:"refs,omitempty" eg:"refs: [refs/heads/main, refs/tags/*]" jsonschema_description:"On which branches and tags they have to run. Default: any."`
	Images       []text         `json:"images,omitempty" eg:"images: [registry.acme.io/shop/*]" jsonschema_description:"The images of which they may tell that they were pushed."`
	Certify      []certifyEntry `json:"certify,omitempty" eg:"certify: [{names: [playwright], environments: [\"acme/infra-acceptance:acceptance\"]}]" jsonschema:"minItems=1" jsonschema_description:"What they may certify, and where."`
}

type credentialsEntry struct {
	object
	Username text         `json:"username,omitempty" eg:"username: bot" jsonschema_description:"The account's name."`
	Password secretSource `json:"password,omitempty" eg:"password: env:REGISTRY_PASSWORD" jsonschema_description:"Its password or token: env:NAME or file:/path."`
	Token    secretSource `json:"token,omitempty" eg:"token: env:GITHUB_TOKEN" jsonschema_description:"In place of both: a token that needs no name, as GitHub's with read:packages: env:NAME or file:/path."`
	Helper   text         `json:"helper,omitempty" eg:"helper: ecr" jsonschema:"enum=ecr,enum=gar,enum=acr" jsonschema_description:"In place of all: log in as the identity that Amazon (ecr), Google (gar) or Azure (acr) gives to the machine or process."`
}

type forgeEntry struct {
	object
	Name          text          `json:"name" eg:"name: github" jsonschema:"pattern=^[a-z0-9]([a-z0-9-]*[a-z0-9])?$,maxLength=63" jsonschema_description:"Its webhook is /hooks/NAME. Unique among registries and forges."`
	Type          text          `json:"type" eg:"type: github" jsonschema:"enum=github,enum=gitlab" jsonschema_description:"What the forge is."`
	AppID         number        `json:"appID,omitempty" eg:"appID: 12345" jsonschema:"minimum=1" jsonschema_description:"The number of the GitHub App, from its settings."`
	PrivateKey    secretSource  `json:"privateKey,omitempty" eg:"privateKey: file:/etc/boatlift/app.pem" jsonschema_description:"The App's private key (PEM): env:NAME or file:/path."`
	Token         secretSource  `json:"token,omitempty" eg:"token: env:GITHUB_TOKEN" jsonschema_description:"GitHub: a personal access token, instead of appID and privateKey. GitLab: an access token of a project, a group, a service account or a person. env:NAME or file:/path. The gate then is a commit status."`
	Repositories  []text        `json:"repositories,omitempty" eg:"repositories: [acme/infra-production, acme-sandbox/*]" jsonschema:"minItems=1" jsonschema_description:"Narrows what the token reaches: owner/name or owner/*, at GitLab group/subgroup/name or group/* too. Default: all that its account may write to."`
	WebhookSecret secretSources `json:"webhookSecret" eg:"webhookSecret: env:WEBHOOK_SECRET" jsonschema_description:"The secret of the webhook: env:NAME or file:/path; or a list of such, while one is changed."`
	SigningToken  secretSources `json:"webhookSigningToken,omitempty" eg:"webhookSigningToken: env:WEBHOOK_SIGNING_TOKEN" jsonschema_description:"GitLab only: the signing token of the webhook, which then has to be signed: env:NAME or file:/path; or a list of such, while one is changed."`
	URL           text          `json:"url,omitempty" eg:"url: https://github.acme.io/api/v3" jsonschema_description:"The root of the API: https://HOST/api/v3 of a GitHub Enterprise Server, https://api.SUBDOMAIN.ghe.com, https://HOST of a GitLab. Default: github.com or gitlab.com."`
	Commits       text          `json:"commits,omitempty" eg:"commits: pushed" jsonschema:"enum=pushed,enum=verified,default=pushed" jsonschema_description:"How commits are made: pushed with git, or verified, made through the forge's API so that it signs them."`
	SigningKey    secretSource  `json:"signingKey,omitempty" eg:"signingKey: file:/etc/boatlift/signing-key" jsonschema_description:"A private key, SSH or armored OpenPGP, with which pushed commits are signed: env:NAME or file:/path."`
	Passphrase    secretSource  `json:"passphrase,omitempty" eg:"passphrase: env:SIGNING_PASSPHRASE" jsonschema_description:"The signing key's passphrase: env:NAME or file:/path."`
}

type requireEntry struct {
	object
	Policies []policyUse `json:"policies,omitempty" eg:"policies: [{freeze: {from: \"Fri 16:00\", to: \"Mon 07:00\", zone: UTC}}]" jsonschema_description:"Policies that are judged in every environment, before those of the repository."`
	Merge    text        `json:"merge,omitempty" eg:"merge: approved" jsonschema:"enum=manual,enum=approved,enum=auto" jsonschema_description:"The loosest merge that a repository may choose: manual, approved or auto, the last being the loosest."`
	Rollout  text        `json:"rollout,omitempty" eg:"rollout: deployment" jsonschema:"enum=deployment,enum=workflow,enum=merge" jsonschema_description:"The loosest evidence of a rollout: deployment, also workflow, or also merge."`
	Pin      text        `json:"pin,omitempty" eg:"pin: tag+digest" jsonschema:"enum=tag+digest,enum=digest,enum=tag" jsonschema_description:"The loosest pin: tag+digest and digest both demand digests, tag allows tags alone."`
}

type logEntry struct {
	object
	Level  text `json:"level,omitempty" eg:"level: info" jsonschema:"enum=debug,enum=info,enum=warn,enum=error,default=info" jsonschema_description:"The least important messages that are written."`
	Format text `json:"format,omitempty" eg:"format: text" jsonschema:"enum=text,enum=json,default=text" jsonschema_description:"How lines are written."`
}
