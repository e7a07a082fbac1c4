// Package gitlab speaks to GitLab, gitlab.com or one of your own, with an access token: a project's, a group's, a service account's or a
// person's.
//
// [Forge] implements forge.Forge and forge.Webhook. It keeps no state but what it can find again: who the bot is, until when GitLab asked to
// wait, and for ten minutes which projects have external status checks and which accounts are machines. It may be used concurrently, and it
// starts no goroutine of its own. The types of go-gitlab stay here; ids are int64 outside.
//
// The token and the webhooks' secrets are asked for whenever they are used, so that one that is replaced is followed. A token that is rotated
// dies at once; put the new one into the bot's file.
//
// The way of a request: go-gitlab, whose own repetitions and waits are switched off; exchange, which adds the token, refuses at once while
// GitLab asked to wait, and makes an error of every answer that is not a success; wire.Answers, which bounds what comes back and repeats a read
// once when its connection breaks; and an http.Transport with time-outs. A write is never repeated. Redirects are never followed.
//
// Projects are addressed by their ids, so that a rename or a transfer changes nothing. Clone and web addresses are derived from the configured
// address and never read from an answer, as git sends the token there.
//
// # What GitLab cannot do
//
// No commit status can be required at GitLab, and whoever may write can set it; so the commit status only shows the gate. What holds a merge is
// an external status check of the gate's name, where the project has one (Ultimate). Everywhere else the bot's own merge requests carry the mark
// "[Draft]" while their gate is not green, which any Developer can take away: so the branch has to be protected so that only the bot merges.
// Other people's merge requests are never made drafts.
//
// Merge trains are not driven: a project that has them is merged by people. Groups do not review, so their members are asked. GitLab does not
// keep what an approval looked at; it is the newest version of the merge request at that moment. Deployments and pipelines are evidence of a
// rollout; a pipeline has a name only where .gitlab-ci.yml gives it one.
//
// # Decisions
//
// A line that begins with a slash is a command to GitLab, in descriptions and comments alike, with the rights of who writes it. What the bot
// writes holds words of others, so such a slash gets a backslash before it, which is taken away when the text is read again.
//
// A commit status that is pending cannot be set pending again, also not with another text. It is left alone if it says the same; else it is
// cancelled and begun anew, where GitLab did not take the text.
//
// GitLab opens merge requests without any change. Base and head are compared first, which costs a read for each one that is opened.
//
// A 401 that answers a merge says that the account may not merge, or that the token is dead; so the account is asked for before it is called
// dead.
package gitlab
