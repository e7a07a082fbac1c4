package gitrepo

import (
	"bytes"
	"crypto"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"golang.org/x/crypto/ssh"
)

// Signer signs commits with an SSH or an OpenPGP key. The same commit gets the same signature, so that a push which is repeated makes
// the same commits; only OpenPGP keys of ECDSA and DSA sign differently each time. It is safe for concurrent use.
type Signer struct {
	name string
	sign func(message []byte, when time.Time) (armored string, err error)
}

// NewSigner reads a private key, armored as ssh-keygen or gpg --export-secret-keys --armor write it. The passphrase is empty where
// the key has none. Errors never quote either.
func NewSigner(key, passphrase []byte) (*Signer, error) {
	if bytes.Contains(key, []byte("-----BEGIN PGP PRIVATE KEY BLOCK-----")) {
		return newOpenPGPSigner(key, passphrase)
	}
	return newSSHSigner(key, passphrase)
}

// Name says for people with which key commits are signed: "SSH key SHA256:…", "OpenPGP key …".
func (s *Signer) Name() string { return s.name }

func newSSHSigner(key, passphrase []byte) (*Signer, error) {
	signer, err := ssh.ParsePrivateKey(key)
	if locked := (*ssh.PassphraseMissingError)(nil); errors.As(err, &locked) {
		if len(passphrase) == 0 {
			return nil, errors.New("the signing key has a passphrase, and none is given")
		}
		if signer, err = ssh.ParsePrivateKeyWithPassphrase(key, passphrase); err != nil {
			return nil, errors.New("the passphrase does not open the signing key")
		}
	}
	if err != nil {
		return nil, errors.New("the signing key is neither an SSH nor an armored OpenPGP private key")
	}
	return &Signer{
		name: "SSH key " + ssh.FingerprintSHA256(signer.PublicKey()),
		sign: func(message []byte, _ time.Time) (string, error) { return signSSH(signer, message) },
	}, nil
}

// signSSH writes a signature as PROTOCOL.sshsig of OpenSSH has it, for git's namespace.
func signSSH(signer ssh.Signer, message []byte) (string, error) {
	const magic, namespace, hash = "SSHSIG", "git", "sha512"
	digest := sha512.Sum512(message)
	signed := []byte(magic)
	for _, field := range []string{namespace, "", hash, string(digest[:])} {
		signed = appendSSHString(signed, field)
	}
	sig, err := signature(signer, signed)
	if err != nil {
		return "", fmt.Errorf("sign with the SSH key: %w", err)
	}
	blob := binary.BigEndian.AppendUint32([]byte(magic), 1)
	for _, field := range []string{string(signer.PublicKey().Marshal()), namespace, "", hash, string(ssh.Marshal(sig))} {
		blob = appendSSHString(blob, field)
	}
	var b strings.Builder
	b.WriteString("-----BEGIN SSH SIGNATURE-----\n")
	for text := base64.StdEncoding.EncodeToString(blob); text != ""; {
		line := text[:min(len(text), 70)]
		b.WriteString(line + "\n")
		text = text[len(line):]
	}
	b.WriteString("-----END SSH SIGNATURE-----\n")
	return b.String(), nil
}

// signature passes no source of randomness: keys that would use one then sign as RFC 6979 says, the same each time. RSA signs with
// SHA-2, as SSH signatures demand.
func signature(signer ssh.Signer, data []byte) (*ssh.Signature, error) {
	if signer.PublicKey().Type() == ssh.KeyAlgoRSA {
		if rsa, ok := signer.(ssh.AlgorithmSigner); ok {
			return rsa.SignWithAlgorithm(nil, data, ssh.KeyAlgoRSASHA512)
		}
	}
	return signer.Sign(nil, data)
}

func appendSSHString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

func newOpenPGPSigner(key, passphrase []byte) (*Signer, error) {
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(key))
	if err != nil || len(ring) != 1 {
		return nil, errors.New("the signing key is not one armored OpenPGP private key")
	}
	entity := ring[0]
	if entity.PrivateKey == nil {
		return nil, errors.New("the signing key has no private part")
	}
	if err := unlock(entity, passphrase); err != nil {
		return nil, err
	}
	return &Signer{
		name: fmt.Sprintf("OpenPGP key %X", entity.PrimaryKey.Fingerprint),
		sign: func(message []byte, when time.Time) (string, error) {
			var b strings.Builder
			same := false // a random notation would make every signature another
			err := openpgp.ArmoredDetachSign(&b, entity, bytes.NewReader(message), &packet.Config{
				DefaultHash: crypto.SHA512, Time: func() time.Time { return when }, NonDeterministicSignaturesViaNotation: &same,
			})
			if err != nil {
				return "", fmt.Errorf("sign with the OpenPGP key: %w", err)
			}
			return b.String() + "\n", nil
		},
	}, nil
}

func unlock(entity *openpgp.Entity, passphrase []byte) error {
	keys := []*packet.PrivateKey{entity.PrivateKey}
	for _, sub := range entity.Subkeys {
		if sub.PrivateKey != nil {
			keys = append(keys, sub.PrivateKey)
		}
	}
	for _, k := range keys {
		switch {
		case !k.Encrypted:
		case len(passphrase) == 0:
			return errors.New("the signing key has a passphrase, and none is given")
		case k.Decrypt(passphrase) != nil:
			return errors.New("the passphrase does not open the signing key")
		}
	}
	return nil
}

// signCommit puts a signature into an encoded commit, as gitformat-signature has it: a header after the others, of which each line but
// the first begins with a space. What is signed is the commit without it.
func (s *Signer) signCommit(commit []byte, when time.Time) ([]byte, error) {
	armored, err := s.sign(commit, when)
	if err != nil {
		return nil, err
	}
	head, message, _ := bytes.Cut(commit, []byte("\n\n"))
	var b bytes.Buffer
	b.Write(head)
	b.WriteString("\ngpgsig " + strings.ReplaceAll(strings.TrimRight(armored, "\n"), "\n", "\n ") + "\n\n")
	b.Write(message)
	return b.Bytes(), nil
}
