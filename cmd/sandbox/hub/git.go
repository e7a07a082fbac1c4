package hub

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1" //nolint:gosec // git names objects by it
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// noObject is git's name for nothing, as push events use it for refs that were made or deleted.
const noObject = "0000000000000000000000000000000000000000"

// errConflict: git cannot merge the two commits by itself.
var errConflict = errors.New("merge conflict")

// bare is one repository on disk. Its methods run the git program; callers that change refs hold the repository's turn.
type bare struct{ dir string }

// signature is who made a commit, and when.
type signature struct {
	Name, Email string
	When        time.Time
}

// gitEnv is an environment in which git sees no configuration but the repository's own.
func gitEnv(extra ...string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "LC_ALL=C", "TZ=UTC",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
	}
	return append(env, extra...)
}

func (b bare) git(ctx context.Context, args ...string) (string, error) {
	out, err := b.feed(ctx, nil, nil, args...)
	return strings.TrimRight(out, "\n"), err
}

// feed runs git with standard input and further environment variables. Its error carries git's own words.
func (b bare) feed(ctx context.Context, input []byte, env []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "core.quotePath=false", "-C", b.dir}, args...)...)
	cmd.Env = gitEnv(env...)
	cmd.Stdin = bytes.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// settings are what forges set on every repository.
const settings = `[http]
	receivepack = true
[uploadpack]
	allowFilter = true
	allowAnySHA1InWant = true
[receive]
	advertisePushOptions = true
	fsckObjects = true
	denyDeleteCurrent = refuse
	autogc = false
[gc]
	auto = 0
`

// create makes the repository.
func (b bare) create(ctx context.Context, branch string) error {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	if _, err := b.git(ctx, "init", "--quiet", "--bare", "--template=", "--initial-branch="+branch); err != nil {
		return err
	}
	config, err := os.OpenFile(filepath.Join(b.dir, "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = config.WriteString(settings)
	return errors.Join(err, config.Close())
}

// refs lists branches and tags.
func (b bare) refs(ctx context.Context) (map[string]string, error) {
	out, err := b.git(ctx, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags")
	if err != nil {
		return nil, err
	}
	refs := map[string]string{}
	for line := range strings.Lines(out) {
		sha, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok {
			refs[name] = sha
		}
	}
	return refs, nil
}

// updateRefs moves refs in one transaction; a change whose old value does not hold fails them all.
func (b bare) updateRefs(ctx context.Context, changes []refChange) error {
	var script strings.Builder
	for _, c := range changes {
		if c.After == noObject {
			fmt.Fprintf(&script, "delete %s %s\n", c.Name, c.Before)
		} else {
			fmt.Fprintf(&script, "update %s %s %s\n", c.Name, c.After, c.Before)
		}
	}
	_, err := b.feed(ctx, []byte(script.String()), nil, "update-ref", "--stdin")
	return err
}

// point sets a ref without asking what it was.
func (b bare) point(ctx context.Context, ref, sha string) error {
	_, err := b.git(ctx, "update-ref", ref, sha)
	return err
}

// commitID resolves a branch, tag or commit name to a commit; ok is false where there is none.
func (b bare) commitID(ctx context.Context, name string) (string, bool) {
	if name == "" || strings.ContainsAny(name, " ^~:\\?*[") || strings.Contains(name, "..") || strings.Contains(name, "@{") {
		return "", false // not a name but an expression
	}
	out, err := b.git(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
	return out, err == nil && out != ""
}

// count tells how many commits head has that base lacks, and the other way round.
func (b bare) count(ctx context.Context, base, head string) (ahead, behind int, err error) {
	out, err := b.git(ctx, "rev-list", "--left-right", "--count", base+"..."+head)
	if err != nil {
		return 0, 0, err
	}
	if _, err := fmt.Sscan(out, &behind, &ahead); err != nil {
		return 0, 0, fmt.Errorf("read git rev-list --count: %w", err)
	}
	return ahead, behind, nil
}

// mergeBase returns the best common ancestor; empty where there is none.
func (b bare) mergeBase(ctx context.Context, one, two string) string {
	out, err := b.git(ctx, "merge-base", one, two)
	if err != nil {
		return ""
	}
	return out
}

// mergeTree merges two commits and returns the tree, or errConflict.
func (b bare) mergeTree(ctx context.Context, base, head string) (string, error) {
	out, err := b.git(ctx, "merge-tree", "--write-tree", "--no-messages", "--name-only", base, head)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return "", errConflict
	}
	return out, err
}

// commit writes a commit object and returns its id.
func (b bare) commit(ctx context.Context, tree string, parents []string, author, committer signature, message string) (string, error) {
	args := []string{"commit-tree", tree, "-F", "-"}
	for _, parent := range parents {
		args = append(args, "-p", parent)
	}
	env := []string{
		"GIT_AUTHOR_NAME=" + author.Name, "GIT_AUTHOR_EMAIL=" + author.Email, "GIT_AUTHOR_DATE=" + gitDate(author.When),
		"GIT_COMMITTER_NAME=" + committer.Name, "GIT_COMMITTER_EMAIL=" + committer.Email, "GIT_COMMITTER_DATE=" + gitDate(committer.When),
	}
	out, err := b.feed(ctx, []byte(message), env, args...)
	return strings.TrimSpace(out), err
}

func gitDate(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) + " +0000" }

// rebase puts head's own commits on top of base, one by one and without a working tree, and returns the last.
func (b bare) rebase(ctx context.Context, base, head string, committer signature) (string, error) {
	out, err := b.git(ctx, "rev-list", "--reverse", "--no-merges", base+".."+head)
	if err != nil {
		return "", err
	}
	infos, err := b.commits(ctx, strings.Fields(out))
	if err != nil {
		return "", err
	}
	onto := base
	for _, c := range infos {
		if len(c.Parents) == 0 {
			return "", errConflict
		}
		tip, err := b.commits(ctx, []string{onto})
		if err != nil {
			return "", err
		}
		// A stand-in with the tree of onto and the picked commit's parent makes that parent the merge base.
		standIn, err := b.commit(ctx, tip[0].Tree, c.Parents[:1], committer, committer, "stand-in\n")
		if err != nil {
			return "", err
		}
		tree, err := b.mergeTree(ctx, standIn, c.SHA)
		if err != nil {
			return "", err
		}
		if onto, err = b.commit(ctx, tree, []string{onto}, c.Author, committer, c.Message); err != nil {
			return "", err
		}
	}
	return onto, nil
}

// writeFiles returns the tree of base (empty: none) with files set, or removed where the content is nil.
func (b bare) writeFiles(ctx context.Context, base string, files map[string][]byte) (string, error) {
	index, err := os.CreateTemp("", "hub-index-*")
	if err != nil {
		return "", err
	}
	_ = index.Close()
	_ = os.Remove(index.Name()) // git wants to make it itself
	defer func() { _ = os.Remove(index.Name()) }()
	env := []string{"GIT_INDEX_FILE=" + index.Name()}
	if base != "" {
		if _, err := b.feed(ctx, nil, env, "read-tree", base); err != nil {
			return "", err
		}
	}
	var script bytes.Buffer
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if files[path] == nil {
			fmt.Fprintf(&script, "0 %s\t%s\x00", noObject, path)
			continue
		}
		blob, err := b.writeBlob(files[path])
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&script, "100644 %s\t%s\x00", blob, path)
	}
	if _, err := b.feed(ctx, script.Bytes(), env, "update-index", "-z", "--index-info"); err != nil {
		return "", err
	}
	tree, err := b.feed(ctx, nil, env, "write-tree")
	return strings.TrimSpace(tree), err
}

// writeBlob writes a loose object as git does: zlib over a header and the content, named by the SHA-1 of both.
func (b bare) writeBlob(content []byte) (string, error) {
	object := append(fmt.Appendf(nil, "blob %d\x00", len(content)), content...)
	sum := sha1.Sum(object) //nolint:gosec // git's object names
	id := hex.EncodeToString(sum[:])
	dir := filepath.Join(b.dir, "objects", id[:2])
	if _, err := os.Stat(filepath.Join(dir, id[2:])); err == nil {
		return id, nil
	}
	var packed bytes.Buffer
	writer := zlib.NewWriter(&packed)
	if _, err := writer.Write(object); err != nil {
		return "", err
	}
	if err := writer.Close(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return id, writeFile(filepath.Join(dir, id[2:]), packed.Bytes())
}

// writeFile makes a file under its name only when it is whole.
func writeFile(name string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(name), "tmp_obj_*")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

// file reads one file at a commit; ok is false where there is none.
func (b bare) file(ctx context.Context, commit, path string) (content []byte, ok bool) {
	out, err := b.feed(ctx, nil, nil, "cat-file", "blob", commit+":"+path)
	return []byte(out), err == nil
}
