package gitrepo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needs finds a program that makes keys or judges signatures.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("this test needs the program %s, with which git judges signatures: %v", program, err)
	}
}

func run(t *testing.T, env []string, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestGitVerifiesSSHSignatures(t *testing.T) {
	needs(t, "ssh-keygen")
	for _, kind := range [][]string{{"-t", "ed25519"}, {"-t", "rsa", "-b", "2048"}, {"-t", "ecdsa", "-b", "256"}} {
		for _, passphrase := range []string{"", "open sesame"} {
			t.Run(kind[1]+" "+passphrase, func(t *testing.T) {
				dir := t.TempDir()
				key := filepath.Join(dir, "key")
				run(t, nil, "ssh-keygen", append(kind, "-q", "-N", passphrase, "-C", "", "-f", key)...)
				signer, err := NewSigner(read(t, key), []byte(passphrase))
				if err != nil {
					t.Fatal(err)
				}
				if want := strings.Fields(run(t, nil, "ssh-keygen", "-l", "-f", key+".pub"))[1]; signer.Name() != "SSH key "+want {
					t.Errorf("Name() = %q; want SSH key %s", signer.Name(), want)
				}
				allowed := filepath.Join(dir, "allowed")
				if err := os.WriteFile(allowed, []byte("bot@example.com "+string(read(t, key+".pub"))), 0o600); err != nil {
					t.Fatal(err)
				}
				verifies(t, signer, nil, "-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile="+allowed)
			})
		}
	}
}

func TestGitVerifiesOpenPGPSignatures(t *testing.T) {
	needs(t, "gpg")
	for _, kind := range []string{"ed25519", "rsa2048"} {
		for _, passphrase := range []string{"", "open sesame"} {
			t.Run(kind+" "+passphrase, func(t *testing.T) {
				home, err := os.MkdirTemp("", "gpg") // a socket's path must be short
				if err != nil {
					t.Fatal(err)
				}
				env := []string{"GNUPGHOME=" + home}
				t.Cleanup(func() {
					_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
					_ = os.RemoveAll(home)
				})
				gpg := []string{"--batch", "--pinentry-mode", "loopback", "--passphrase", passphrase}
				run(t, env, "gpg", append(gpg, "--faked-system-time", "20200101T000000!", "--quick-generate-key", "Boatlift <bot@example.com>", kind, "sign", "0")...)
				armored := run(t, env, "gpg", append(gpg, "--armor", "--quiet", "--export-secret-keys")...)
				signer, err := NewSigner([]byte(armored), []byte(passphrase))
				if err != nil {
					t.Fatal(err)
				}
				if got := run(t, env, "gpg", "--list-keys", "--with-colons"); !strings.Contains(got, "fpr:::::::::"+strings.TrimPrefix(signer.Name(), "OpenPGP key ")+":") {
					t.Errorf("Name() = %q; gpg says %s", signer.Name(), got)
				}
				verifies(t, signer, env)
			})
		}
	}
}

// verifies pushes a signed commit and has git itself judge it.
func verifies(t *testing.T, signer *Signer, env []string, options ...string) {
	t.Helper()
	b := newBackend(t)
	rp := b.repo("infra", allFilters, apps(3))
	main := rp.head("main")
	u := update("signed", "", main, map[string]string{overlay(1, "prod"): "signed"})
	u.Signer, u.Message = signer, "subject\n\nbody\n\nwith a line\n"
	results := rp.mustPush(newTestClient(t, Options{}).Remote(rp.url, nil), u)
	dir := filepath.Join(b.root, "infra.git")
	out := run(t, env, "git", append(append([]string{"-C", dir}, options...), "verify-commit", "--raw", "-v", "signed")...)
	if !strings.Contains(out, "GOODSIG") && !strings.Contains(out, `Good "git" signature for bot@example.com`) {
		t.Errorf("git verify-commit says\n%s", out)
	}
	if got := rp.git("", "log", "-1", "--format=%B", "signed"); got != "subject\n\nbody\n\nwith a line" {
		t.Errorf("the message is %q", got)
	}
	// Another client makes the very same commit.
	again, err := newTestClient(t, Options{}).Remote(rp.url, nil).Push(context.Background(), []BranchUpdate{u})
	if err != nil || again[0] != results[0] {
		t.Errorf("again: %v, %v; want %v", again, err, results)
	}
	info, err := newTestClient(t, Options{}).Remote(rp.url, nil).Commit(context.Background(), results[0].New)
	if err != nil || info.Message != u.Message || info.Author.Identity != bot {
		t.Errorf("Commit() = %+v, %v", info, err)
	}
}

func TestKeysThatDoNotSign(t *testing.T) {
	needs(t, "ssh-keygen")
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	run(t, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", key)
	locked := read(t, key)
	for name, c := range map[string]struct{ key, passphrase, want string }{
		"nothing":              {"", "", "neither an SSH nor an armored OpenPGP private key"},
		"a public key":         {string(read(t, key+".pub")), "", "neither"},
		"no passphrase":        {string(locked), "", "has a passphrase, and none is given"},
		"a wrong one":          {string(locked), "close sesame", "does not open"},
		"a torn OpenPGP key":   {"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxxxx\n-----END PGP PRIVATE KEY BLOCK-----\n", "", "not one armored OpenPGP"},
		"an App's private key": {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "", "neither"},
	} {
		_, err := NewSigner([]byte(c.key), []byte(c.passphrase))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
			continue
		}
		for _, secret := range []string{c.passphrase, c.key} {
			if secret != "" && strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
				t.Errorf("%s: the error quotes the secret", name)
			}
		}
	}
}
