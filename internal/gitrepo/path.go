package gitrepo

import (
	"strings"
	"unicode/utf8"
)

// Limits on paths, far above what people write and far below what hurts.
const (
	maxPath  = 4096
	maxDepth = 64
)

// checkPath says why a path is refused, "" when it is not. Paths are relative, separated by slashes, and name no part of git's own
// directory in any of the spellings that some file system takes for it (git fsck knows them too).
func checkPath(path string) string {
	switch {
	case path == "":
		return "the path is empty"
	case len(path) > maxPath:
		return "the path is too long"
	case path[0] == '/':
		return "the path is not relative"
	case !utf8.ValidString(path):
		return "the path is not UTF-8"
	case strings.ContainsAny(path, "\x00\\") || strings.IndexFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0:
		return "the path has a control character or a backslash in it"
	}
	depth := 0
	for part := range strings.SplitSeq(path, "/") {
		switch {
		case part == "":
			return "the path has an empty part"
		case part == "." || part == "..":
			return "the path has a dot part"
		case isDotGit(part):
			return "the path leads into git's own directory"
		}
		if depth++; depth > maxDepth {
			return "the path is too deep"
		}
	}
	return ""
}

// isDotGit recognises .git as HFS+ and NTFS would: in any case, with invisible characters, trailing dots and spaces, streams,
// and as git~1.
func isDotGit(name string) bool {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 0x200c && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x206a && r <= 0x206f, r == 0xfeff:
			return -1
		}
		return r
	}, name)
	name, _, _ = strings.Cut(name, ":")
	name = strings.TrimRight(name, ". ")
	return strings.EqualFold(name, ".git") || strings.EqualFold(name, "git~1")
}

// checkBranch says why a branch's short name is refused, "" when it is not: git check-ref-format's rules.
func checkBranch(name string) string {
	switch {
	case name == "":
		return "the name is empty"
	case len(name) > 1024:
		return "the name is too long"
	case name == "@" || name == "HEAD":
		return "the name is reserved"
	case name[0] == '-' || strings.HasSuffix(name, "."):
		return "the name begins with a dash or ends with a dot"
	case strings.Contains(name, "..") || strings.Contains(name, "@{"):
		return "the name has .. or @{ in it"
	case !utf8.ValidString(name):
		return "the name is not UTF-8"
	case strings.ContainsAny(name, " ~^:?*[\\") || strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0:
		return "the name has a character that git does not allow"
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return "a part of the name is empty, begins with a dot or ends with .lock"
		}
	}
	return ""
}

// isLFSPointer recognises what Git LFS commits instead of a file: its specification bounds it to 1024 bytes and fixes its first line.
func isLFSPointer(blob []byte) bool {
	if len(blob) > 1024 {
		return false
	}
	s := string(blob)
	return strings.HasPrefix(s, "version https://git-lfs.github.com/spec/") || strings.HasPrefix(s, "version http://git-media.io/v/") ||
		strings.HasPrefix(s, "version https://hawser.github.com/spec/")
}
