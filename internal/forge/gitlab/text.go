package gitlab

import (
	"regexp"
	"strings"
)

const (
	// draft is how people mark a merge request as a draft.
	draft = "Draft: "
	// gateDraft is how the bot does while its gate is not green. GitLab takes both, and its button for "ready" takes either away.
	gateDraft = "[Draft] "
)

// draftPattern is what GitLab takes as the mark of a draft, which may stand there more than once.
var draftPattern = regexp.MustCompile(`(?i)^\s*(\[draft\]\s*|\(draft\)\s*|draft:\s*)`)

// splitTitle takes the mark of a draft from a title. Where there are several it is a person's.
func splitTitle(title string) (mark, rest string) {
	rest = title
	n := 0
	for {
		found := draftPattern.FindString(rest)
		if found == "" {
			break
		}
		n++
		rest = rest[len(found):]
	}
	switch {
	case n == 0:
		return "", rest
	case n == 1 && strings.HasPrefix(title, gateDraft):
		return gateDraft, rest
	}
	return draft, rest
}

// GitLab takes a line of a description or a comment that begins with a slash as a command, with the rights of who writes it. What the bot
// writes holds words of others. So a backslash, which is not shown, goes before such a slash; and is taken away where the text is read again.
var (
	commandLine = regexp.MustCompile(`(?m)^(\\*/)`)
	escapedLine = regexp.MustCompile(`(?m)^\\(\\*/)`)
)

func escape(text string) string { return commandLine.ReplaceAllString(text, `\$1`) }

func unescape(text string) string { return escapedLine.ReplaceAllString(text, "$1") }
