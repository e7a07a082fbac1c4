package hub

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
)

// maxDiff bounds the diff text that is kept of one pull request.
const maxDiff = 1 << 20

// commitInfo is one commit as git has it.
type commitInfo struct {
	SHA, Tree         string
	Parents           []string
	Author, Committer signature
	Message           string
	Added, Removed    []string // against the first parent; only where changes were asked for
	Modified          []string
}

// fileChange is one file of a comparison.
type fileChange struct {
	Path, OldPath        string // OldPath only where the file was renamed
	Status               string // added, removed, modified, renamed
	Additions, Deletions int
	Blob                 string
}

// commits reads commit objects in one process.
func (b bare) commits(ctx context.Context, shas []string) ([]commitInfo, error) {
	if len(shas) == 0 {
		return nil, nil
	}
	out, err := b.feed(ctx, []byte(strings.Join(shas, "\n")+"\n"), nil, "cat-file", "--batch")
	if err != nil {
		return nil, err
	}
	infos := make([]commitInfo, 0, len(shas))
	for range shas {
		header, rest, _ := strings.Cut(out, "\n")
		fields := strings.Fields(header)
		if len(fields) != 3 || fields[1] != "commit" {
			return nil, fmt.Errorf("read commits: git says %q", header)
		}
		size, err := strconv.Atoi(fields[2])
		if err != nil || size > len(rest) {
			return nil, fmt.Errorf("read commits: git says %q", header)
		}
		infos = append(infos, parseCommit(fields[0], rest[:size]))
		out = strings.TrimPrefix(rest[size:], "\n")
	}
	return infos, nil
}

func parseCommit(sha, raw string) commitInfo {
	info := commitInfo{SHA: sha}
	head, message, _ := strings.Cut(raw, "\n\n")
	info.Message = message
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
		switch key {
		case "tree":
			info.Tree = value
		case "parent":
			info.Parents = append(info.Parents, value)
		case "author":
			info.Author = parseSignature(value)
		case "committer":
			info.Committer = parseSignature(value)
		}
	}
	return info
}

func parseSignature(line string) signature {
	name, rest, _ := strings.Cut(line, " <")
	email, when, _ := strings.Cut(rest, "> ")
	seconds, _, _ := strings.Cut(when, " ")
	unix, _ := strconv.ParseInt(seconds, 10, 64)
	return signature{Name: name, Email: email, When: time.Unix(unix, 0).UTC()}
}

// newCommits lists what the new tips have and the old ones lack, newest first, with each commit's changed paths.
func (b bare) newCommits(ctx context.Context, tips, known []string) ([]commitInfo, error) {
	var revisions strings.Builder
	for _, tip := range tips {
		revisions.WriteString(tip + "\n")
	}
	for _, sha := range known {
		revisions.WriteString("^" + sha + "\n")
	}
	out, err := b.feed(ctx, []byte(revisions.String()), nil, "rev-list", "--topo-order", "--stdin")
	if err != nil {
		return nil, err
	}
	infos, err := b.commits(ctx, strings.Fields(out))
	if err != nil || len(infos) == 0 {
		return infos, err
	}
	byID := map[string]*commitInfo{}
	for i := range infos {
		byID[infos[i].SHA] = &infos[i]
	}
	changes, err := b.feed(ctx, []byte(out), nil, "diff-tree", "--stdin", "-r", "-z", "--root", "--first-parent", "-m", "--no-renames")
	if err != nil {
		return nil, err
	}
	var current *commitInfo
	next, stop := iter.Pull(strings.SplitSeq(changes, "\x00"))
	defer stop()
	for entry, ok := next(); ok && entry != ""; entry, ok = next() {
		if !strings.HasPrefix(entry, ":") {
			current = byID[strings.TrimSpace(entry)]
			continue
		}
		path, _ := next()
		if current == nil {
			continue
		}
		switch status := entry[strings.LastIndexByte(entry, ' ')+1:]; status {
		case "A":
			current.Added = append(current.Added, path)
		case "D":
			current.Removed = append(current.Removed, path)
		default:
			current.Modified = append(current.Modified, path)
		}
	}
	return infos, nil
}

// reach returns the commits among infos that lead to tip, oldest first.
func reach(infos map[string]*commitInfo, tip string) []*commitInfo {
	var found []*commitInfo
	seen := map[string]bool{}
	stack := []string{tip}
	for len(stack) > 0 {
		sha := stack[len(stack)-1]
		info := infos[sha]
		if info == nil || seen[sha] {
			stack = stack[:len(stack)-1]
			continue
		}
		pushed := false
		for _, parent := range info.Parents {
			if infos[parent] != nil && !seen[parent] {
				stack = append(stack, parent)
				pushed = true
			}
		}
		if !pushed {
			seen[sha] = true
			found = append(found, info)
			stack = stack[:len(stack)-1]
		}
	}
	return found
}

// log lists the commits of head that base lacks, oldest first, at most limit of the newest.
func (b bare) log(ctx context.Context, base, head string, limit int) ([]commitInfo, error) {
	out, err := b.git(ctx, "rev-list", "--reverse", "--topo-order", "--max-count="+strconv.Itoa(limit), head, "^"+base)
	if err != nil {
		return nil, err
	}
	return b.commits(ctx, strings.Fields(out))
}

// changedFiles compares two commits file by file.
func (b bare) changedFiles(ctx context.Context, from, to string) ([]fileChange, error) {
	out, err := b.feed(ctx, nil, nil, "diff-tree", "-r", "-z", "-M", "--raw", "--numstat", "--no-abbrev", from, to)
	if err != nil {
		return nil, err
	}
	var files []fileChange
	at := map[string]int{}
	next, stop := iter.Pull(strings.SplitSeq(out, "\x00"))
	defer stop()
	for entry, ok := next(); ok && entry != ""; entry, ok = next() {
		if strings.HasPrefix(entry, ":") {
			fields := strings.Fields(entry)
			if len(fields) < 5 {
				return nil, fmt.Errorf("read git diff-tree: %q", entry)
			}
			file := fileChange{Status: "modified", Blob: fields[3]}
			file.Path, _ = next()
			switch fields[4][0] {
			case 'A':
				file.Status = "added"
			case 'D':
				file.Status, file.Blob = "removed", fields[2]
			case 'R', 'C':
				file.Status, file.OldPath = "renamed", file.Path
				file.Path, _ = next()
			}
			at[file.Path] = len(files)
			files = append(files, file)
			continue
		}
		// A line of --numstat: added, deleted, path; for a rename the path is empty and two more entries follow.
		columns := strings.SplitN(entry, "\t", 3)
		if len(columns) != 3 {
			return nil, fmt.Errorf("read git diff-tree --numstat: %q", entry)
		}
		path := columns[2]
		if path == "" {
			_, _ = next()
			path, _ = next()
		}
		if i, ok := at[path]; ok {
			files[i].Additions, _ = strconv.Atoi(columns[0]) // "-" for binary files: 0, as GitHub says
			files[i].Deletions, _ = strconv.Atoi(columns[1])
		}
	}
	return files, nil
}

// diff is the patch between two commits, cut at maxDiff bytes.
func (b bare) diff(ctx context.Context, from, to string, paths ...string) (string, error) {
	out, err := b.feed(ctx, nil, nil, append([]string{"diff-tree", "-p", "-M", "-r", from, to, "--"}, paths...)...)
	if len(out) > maxDiff {
		out = out[:maxDiff]
	}
	return out, err
}

// patches splits a patch into the hunks of each file, by its new path or its old one where it was deleted.
func patches(diff string) map[string]string {
	found := map[string]string{}
	var path string
	var hunks strings.Builder
	flush := func() {
		if path != "" && hunks.Len() > 0 {
			found[path] = strings.TrimRight(hunks.String(), "\n")
		}
		path = ""
		hunks.Reset()
	}
	inHunk := false
	for line := range strings.Lines(diff) {
		switch {
		case strings.HasPrefix(line, "diff --git "):
			flush()
			inHunk = false
		case !inHunk && strings.HasPrefix(line, "--- a/"):
			path = strings.TrimRight(line[len("--- a/"):], "\t\n")
		case !inHunk && strings.HasPrefix(line, "+++ b/"):
			path = strings.TrimRight(line[len("+++ b/"):], "\t\n")
		case strings.HasPrefix(line, "@@"):
			inHunk = true
			hunks.WriteString(line)
		case inHunk:
			hunks.WriteString(line)
		}
	}
	flush()
	return found
}
