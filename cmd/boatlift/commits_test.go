package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/cmd/sandbox/stage"
)

// TestCommitsOfTheForge lets the forge make and sign the commits, through a release that is superseded, a conflict that is rebuilt and a
// branch that is deleted.
func TestCommitsOfTheForge(t *testing.T) {
	t.Parallel()
	s := set(t, stage.Options{ForgeConfig: "commits: verified\n"})
	ctx := t.Context()
	if err := s.Push(ctx, "1.5.0"); err != nil {
		t.Fatal(err)
	}
	pull, err := s.AwaitPull(ctx, stage.Acceptance, "1.5.0")
	if err != nil {
		t.Fatal(err)
	}
	if got := line(t, s, "log", "-1", "--format=%an|%cn <%ce>|%P", pull.HeadSHA); got != "boatlift[bot]|GitHub <noreply@github.com>|"+pull.BaseSHA {
		t.Errorf("the commit is %s; want the bot's, made by the forge upon base", got)
	}
	if got := line(t, s, "diff", "--numstat", pull.BaseSHA, pull.HeadSHA); got != "4\t4\tapps/shop/kustomization.yaml" {
		t.Errorf("it changes %q", got)
	}
	if strings.Contains(pull.Body, "not signed by the forge") {
		t.Errorf("the pull request says that it is not signed:\n%s", pull.Body)
	}

	// A machine deletes the branch: the pull request is reopened on the very commit that it had.
	tidy := s.Hub.AddMachine("tidy")
	if err := s.Hub.SetPermission(stage.Acceptance, tidy, hub.Write); err != nil {
		t.Fatal(err)
	}
	if err := s.Hub.DeleteBranch(ctx, stage.Acceptance, tidy, pull.Head); err != nil {
		t.Fatal(err)
	}
	again, err := s.AwaitPull(ctx, stage.Acceptance, "1.5.0")
	if err != nil || again.Number != pull.Number || again.HeadSHA != pull.HeadSHA {
		t.Errorf("after its branch was deleted: #%d at %s, %v; want #%d at %s", again.Number, again.HeadSHA, err, pull.Number, pull.HeadSHA)
	}

	// Base moves in the very lines: the commit is made anew, by the forge too.
	awaitComment(t, s, stage.Acceptance, pull.Number, "reopened")
	content, _, err := s.Hub.File(ctx, stage.Acceptance, "main", "apps/shop/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(content), "# moved by pull request", "# moved by Boatlift")
	moved, err := s.Hub.Push(ctx, stage.Acceptance, hub.Commit{Person: "alice", Files: map[string][]byte{"apps/shop/kustomization.yaml": []byte(changed)}})
	if err != nil {
		t.Fatal(err)
	}
	err = stage.Await(ctx, patience, "the commit to be made anew", func() (bool, error) {
		again, _, err = s.Open(stage.Acceptance, "1.5.0")
		return again.HeadSHA != pull.HeadSHA && again.HeadSHA != "", err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := line(t, s, "log", "-1", "--format=%cn|%P", again.HeadSHA); got != "GitHub|"+moved {
		t.Errorf("the commit that was made anew is %s; want the forge's, upon %s", got, moved)
	}
	if err := s.Quiet(ctx); err != nil {
		t.Fatal(err)
	}
	for _, repo := range []string{stage.Acceptance, stage.Production} {
		if got := git(t, s, repo, "for-each-ref", "--format=%(refname)", "refs/heads/boatlift-next"); got != "" {
			t.Errorf("%s has branches left: %s", repo, got)
		}
		fsck(t, s, repo)
	}
	if err := s.Merge(ctx, stage.Acceptance, "1.5.0"); err != nil {
		t.Fatal(err)
	}
	if err := s.AwaitRuns(ctx, stage.Acceptance, "1.5.0"); err != nil {
		t.Fatal(err)
	}
}

// TestAForgeThatDoesNotSign has what it made used all the same, and the pull request say so.
func TestAForgeThatDoesNotSign(t *testing.T) {
	t.Parallel()
	s := set(t, stage.Options{ForgeConfig: "commits: verified\n", Hub: func(o *hub.Options) { o.SignsNothing = true }})
	if err := s.Push(t.Context(), "1.5.0"); err != nil {
		t.Fatal(err)
	}
	pull, err := s.AwaitPull(t.Context(), stage.Acceptance, "1.5.0")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(pull.Body, "The commit is not signed by the forge: the forge made the commit and did not sign it.") {
		t.Errorf("the pull request does not say that it is not signed:\n%s", pull.Body)
	}
}

// TestSignedCommits has git itself verify what the running bot signed.
func TestSignedCommits(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("this test needs the program ssh-keygen, with which git judges signatures: ", err)
	}
	key := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-C", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	private, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	s := set(t, stage.Options{
		ForgeConfig: "signingKey: file:signing-key\npassphrase: file:passphrase\n",
		Secrets:     map[string][]byte{"signing-key": private, "passphrase": []byte("open sesame\n")},
	})
	if err := s.Push(t.Context(), "1.5.0"); err != nil {
		t.Fatal(err)
	}
	pull, err := s.AwaitPull(t.Context(), stage.Acceptance, "1.5.0")
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	allowed := filepath.Join(t.TempDir(), "allowed")
	mail := line(t, s, "log", "-1", "--format=%ae", pull.HeadSHA)
	if err := os.WriteFile(allowed, []byte(mail+" "+string(public)), 0o600); err != nil {
		t.Fatal(err)
	}
	git(t, s, stage.Acceptance, "-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile="+allowed, "verify-commit", pull.HeadSHA)
}

// line is what git says in one line of acceptance's repository.
func line(t *testing.T, s *stage.Stage, args ...string) string {
	t.Helper()
	return strings.TrimSpace(git(t, s, stage.Acceptance, args...))
}
