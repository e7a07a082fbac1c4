package gitrepo

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// Hash is the name of a git object: 40 lower-case hexadecimal digits. The empty Hash means "none".
type Hash string

// Valid reports whether h has the form of an object name and is not the all-zero one.
func (h Hash) Valid() bool {
	id, err := parseOID(string(h))
	return err == nil && id != oid{}
}

// Short is the form people read: the first 12 digits.
func (h Hash) Short() string { return string(h[:min(len(h), 12)]) }

// oid is a Hash in the form that objects and packs hold it.
type oid [sha1.Size]byte

func (id oid) hash() Hash { return Hash(hex.EncodeToString(id[:])) }

func (id oid) String() string { return hex.EncodeToString(id[:]) }

func (id oid) plumbing() plumbing.Hash { return plumbing.Hash(id) }

func parseOID[T string | []byte](s T) (oid, error) {
	var id oid
	if len(s) != 2*len(id) {
		return oid{}, errors.New("an object name has 40 hexadecimal digits")
	}
	for i := range id {
		hi, lo := unhex(s[2*i]), unhex(s[2*i+1])
		if hi|lo > 15 {
			return oid{}, errors.New("an object name has 40 lower-case hexadecimal digits")
		}
		id[i] = hi<<4 | lo
	}
	return id, nil
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// kind is an object's type, with the numbers that packs use.
type kind uint8

const (
	kindCommit kind = 1
	kindTree   kind = 2
	kindBlob   kind = 3
	kindTag    kind = 4
)

func (k kind) String() string {
	switch k {
	case kindCommit:
		return "commit"
	case kindTree:
		return "tree"
	case kindBlob:
		return "blob"
	case kindTag:
		return "tag"
	}
	return "object of type " + strconv.Itoa(int(k))
}

// object is an object's content. data is never changed once the object exists.
type object struct {
	kind kind
	data []byte
}

// objectID is the name that content has in git.
func objectID(k kind, data []byte) oid {
	var head [32]byte
	h := sha1.New()
	b := append(head[:0], k.String()...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(data)), 10)
	h.Write(append(b, 0))
	h.Write(data)
	var id oid
	h.Sum(id[:0])
	return id
}

// Identity is a person or a bot in a commit.
type Identity struct{ Name, Email string }

// Signature is who did something to a commit, and when. When has the zone the commit names.
type Signature struct {
	Identity
	When time.Time
}

// CommitInfo is what a commit says.
type CommitInfo struct {
	Hash      Hash
	Tree      Hash
	Parents   []Hash
	Author    Signature
	Committer Signature
	Message   string
}

// maxParents bounds what a hostile commit can make us hold; git's own octopus merges stay far below.
const maxParents = 1024

// parseCommit reads a commit. Unknown headers (signatures, merge tags, encodings) are passed over.
func parseCommit(id oid, data []byte) (CommitInfo, error) {
	c := CommitInfo{Hash: id.hash()}
	bad := func(what string) (CommitInfo, error) {
		return CommitInfo{}, &MalformedError{Object: id.hash(), Reason: what}
	}
	rest := data
	for n := 0; ; n++ {
		line, after, found := bytes.Cut(rest, []byte{'\n'})
		if !found {
			return bad("commit without an end to its headers")
		}
		rest = after
		if len(line) == 0 && n > 0 {
			break
		}
		key, value, _ := bytes.Cut(line, []byte{' '})
		switch {
		case string(key) == "tree" && n == 0:
			t, err := parseOID(value)
			if err != nil {
				return bad("commit's tree: " + err.Error())
			}
			c.Tree = t.hash()
		case n == 0:
			return bad("commit does not begin with a tree")
		case string(key) == "parent":
			p, err := parseOID(value)
			if err != nil {
				return bad("commit's parent: " + err.Error())
			}
			if len(c.Parents) == maxParents {
				return bad("commit has too many parents")
			}
			c.Parents = append(c.Parents, p.hash())
		case string(key) == "author":
			c.Author = parseSignature(value)
		case string(key) == "committer":
			c.Committer = parseSignature(value)
		}
	}
	c.Message = string(rest)
	return c, nil
}

// parseSignature reads "Name <email> seconds zone" and keeps what it can: old repositories hold odd ones.
func parseSignature(b []byte) Signature {
	var s Signature
	name, rest, found := strings.Cut(string(b), "<")
	s.Name = strings.TrimSpace(name)
	if !found {
		return s
	}
	end := strings.LastIndexByte(rest, '>')
	if end < 0 {
		return s
	}
	s.Email = rest[:end]
	fields := strings.Fields(rest[end+1:])
	if len(fields) == 0 {
		return s
	}
	sec, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return s
	}
	zone := time.UTC
	if len(fields) > 1 && len(fields[1]) == 5 {
		if n, err := strconv.Atoi(fields[1]); err == nil {
			zone = time.FixedZone("", (n/100*60+n%100)*60)
		}
	}
	s.When = time.Unix(sec, 0).In(zone)
	return s
}

// encodeCommit writes a commit whose bytes depend on nothing but the arguments.
func encodeCommit(tree, parent oid, author, committer Identity, when time.Time, message string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "tree %s\nparent %s\n", tree, parent)
	fmt.Fprintf(&b, "author %s <%s> %d +0000\n", cleanIdentity(author.Name), cleanIdentity(author.Email), when.Unix())
	fmt.Fprintf(&b, "committer %s <%s> %d +0000\n\n", cleanIdentity(committer.Name), cleanIdentity(committer.Email), when.Unix())
	message = strings.ToValidUTF8(strings.ReplaceAll(message, "\x00", ""), "\uFFFD")
	b.WriteString(strings.TrimRight(message, "\n"))
	b.WriteByte('\n')
	return b.Bytes()
}

// cleanIdentity takes out what would break the line of an author, and the punctuation git trims at both ends.
func cleanIdentity(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '<' || r == '>' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.Trim(s, " .,:;\"\\'")
}
