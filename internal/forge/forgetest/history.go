package forgetest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

// history is a repository's commits and branches, as far as a forge needs them. A commit that a test only names by its hash has
// no known tree: it differs from every other commit, touches no file and conflicts with nothing.
type history struct {
	commits  map[string]*commit
	branches map[string]string
	made     int
}

type commit struct {
	parents []string
	tree    map[string]string // path to content; nil when unknown
	title   string
	author  string
	at      time.Time
}

func newHistory() *history {
	return &history{commits: map[string]*commit{}, branches: map[string]string{}}
}

// commitOn makes a commit with the parents' hashes and the tree, and moves the branch to it.
func (h *history) commitOn(branch string, parents []string, tree map[string]string) string {
	h.made++
	sum := sha256.New()
	fmt.Fprintln(sum, h.made, parents)
	for _, path := range slices.Sorted(maps.Keys(tree)) {
		fmt.Fprintf(sum, "%q %q\n", path, tree[path])
	}
	sha := hex.EncodeToString(sum.Sum(nil))[:40]
	h.commits[sha] = &commit{parents: parents, tree: tree}
	h.branches[branch] = sha
	return sha
}

// edit commits changed files onto the branch. An empty content deletes the file.
func (h *history) edit(branch string, files map[string]string) string {
	head := h.branches[branch]
	tree := map[string]string{}
	if c := h.commits[head]; c != nil {
		maps.Copy(tree, c.tree)
	}
	for path, content := range files {
		if content == "" {
			delete(tree, path)
		} else {
			tree[path] = content
		}
	}
	var parents []string
	if head != "" {
		parents = []string{head}
	}
	return h.commitOn(branch, parents, tree)
}

// ancestors lists a commit and what it grew from, nearest first.
func (h *history) ancestors(sha string) []string {
	seen := map[string]bool{sha: true}
	list := []string{sha}
	for i := 0; i < len(list); i++ {
		c := h.commits[list[i]]
		if c == nil {
			continue
		}
		for _, parent := range c.parents {
			if !seen[parent] {
				seen[parent] = true
				list = append(list, parent)
			}
		}
	}
	return list
}

// comparison is what merging head into base would mean.
type comparison struct {
	changed  map[string]string // path to the content in head; empty: deleted
	conflict bool
	empty    bool // head has no commit that base lacks
}

func (h *history) compare(base, head string) comparison {
	inBase := map[string]bool{}
	for _, sha := range h.ancestors(base) {
		inBase[sha] = true
	}
	if inBase[head] {
		return comparison{empty: true}
	}
	var fork string
	for _, sha := range h.ancestors(head) {
		if inBase[sha] {
			fork = sha
			break
		}
	}
	if fork == "" || h.commits[fork] == nil || h.commits[head] == nil || h.commits[base] == nil {
		return comparison{}
	}
	ours, theirs := h.difference(fork, head), h.difference(fork, base)
	result := comparison{changed: ours}
	for path, content := range ours {
		if other, both := theirs[path]; both && other != content {
			result.conflict = true
		}
	}
	return result
}

func (h *history) difference(from, to string) map[string]string {
	before, after := h.commits[from].tree, h.commits[to].tree
	changed := map[string]string{}
	for path, content := range after {
		if old, had := before[path]; !had || old != content {
			changed[path] = content
		}
	}
	for path := range before {
		if _, has := after[path]; !has {
			changed[path] = ""
		}
	}
	return changed
}

// merge commits head's changes onto the base branch and returns the commit that base got.
func (h *history) merge(baseBranch, head, method string) string {
	base := h.branches[baseBranch]
	tree := map[string]string{}
	if c := h.commits[base]; c != nil {
		maps.Copy(tree, c.tree)
	}
	for path, content := range h.compare(base, head).changed {
		if content == "" {
			delete(tree, path)
		} else {
			tree[path] = content
		}
	}
	parents := []string{base}
	if method == "merge" || method == "" {
		parents = append(parents, head)
	}
	return h.commitOn(baseBranch, parents, tree)
}

// log lists the commits that lead from one to another, newest first; ok is false where either is not known.
func (h *history) log(web, from, to string) (list []forge.Commit, ok bool) {
	if h.commits[from] == nil || h.commits[to] == nil {
		return nil, false
	}
	before := map[string]bool{}
	for _, sha := range h.ancestors(from) {
		before[sha] = true
	}
	for _, sha := range h.ancestors(to) {
		if c := h.commits[sha]; !before[sha] && c != nil {
			list = append(list, forge.Commit{
				SHA: sha, Title: cmp.Or(c.title, "change"), Author: cmp.Or(c.author, "founder"), URL: web + "/commit/" + sha, At: c.at,
			})
		}
	}
	return list, true
}
