package kustomize

import (
	"bytes"
	"sort"
	"strings"
	"unicode/utf8"
)

// byteOrderMark is U+FEFF as the first character of a file; YAML positions do not count it.
const byteOrderMark = "\xef\xbb\xbf"

// source is a file's bytes and where its lines begin. Lines are counted from 0 here and from 1 in everything exported.
type source struct {
	path   string
	src    []byte
	starts []int // offset of each line; the last may be len(src), an empty line after the final newline
}

func newSource(path string, src []byte) source {
	starts := make([]int, 1, bytes.Count(src, []byte{'\n'})+1)
	if bytes.HasPrefix(src, []byte(byteOrderMark)) {
		starts[0] = len(byteOrderMark)
	}
	for i, c := range src {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return source{path: path, src: src, starts: starts}
}

// offset turns the parser's position (both 1-based, columns count characters) into a byte offset.
func (s *source) offset(line, column int) int {
	if line < 1 {
		return 0
	}
	if line > len(s.starts) {
		return len(s.src)
	}
	off := s.starts[line-1]
	for ; column > 1 && off < len(s.src); column-- {
		if s.src[off] < utf8.RuneSelf {
			off++
			continue
		}
		_, size := utf8.DecodeRune(s.src[off:])
		off += size
	}
	return off
}

// line is the index of the line that holds the byte at off.
func (s *source) line(off int) int {
	return max(0, sort.SearchInts(s.starts, off+1)-1)
}

// lineEnd is the offset after line i, its ending included.
func (s *source) lineEnd(i int) int {
	if i+1 < len(s.starts) {
		return s.starts[i+1]
	}
	return len(s.src)
}

// text is line i without its ending.
func (s *source) text(i int) string {
	return trimEnding(string(s.src[s.starts[i]:s.lineEnd(i)]))
}

// ending is the line ending to use after line i: its own, or where it has none that of the line before, or LF.
func (s *source) ending(i int) string {
	for ; i >= 0; i-- {
		end := s.lineEnd(i)
		switch {
		case end < 1 || s.src[end-1] != '\n':
		case end > 1 && s.src[end-2] == '\r':
			return "\r\n"
		default:
			return "\n"
		}
	}
	return "\n"
}

// blank reports whether line i holds nothing but white space.
func (s *source) blank(i int) bool {
	return strings.TrimLeft(s.text(i), " \t") == ""
}

// commentOnly reports whether line i holds nothing but a comment.
func (s *source) commentOnly(i int) bool {
	return strings.HasPrefix(strings.TrimLeft(s.text(i), " \t"), "#")
}

// indent is the white space that line i begins with.
func (s *source) indent(i int) string {
	text := s.text(i)
	return text[:len(text)-len(strings.TrimLeft(text, " \t"))]
}

// startsLine reports whether only white space stands before off on its line.
func (s *source) startsLine(off int) bool {
	return isBlank(s.src[s.starts[s.line(off)]:off])
}

// endsLine reports whether only white space or a comment follows off on its line.
func (s *source) endsLine(off int) bool {
	rest := s.src[off:max(off, s.lineEnd(s.line(off)))]
	trimmed := bytes.TrimLeft(rest, " \t\r\n")
	if len(trimmed) == 0 {
		return true
	}
	return trimmed[0] == '#' && len(trimmed) < len(rest)
}

// hasComment reports whether a comment begins in src[from:to], a range that holds no scalar.
func (s *source) hasComment(from, to int) bool {
	return bytes.IndexByte(s.src[from:to], '#') >= 0
}

// skipSpace moves over white space, line breaks and comments.
func (s *source) skipSpace(off int) int {
	for off < len(s.src) {
		switch c := s.src[off]; {
		case isSpace(c):
			off++
		case c == '#' && (off == 0 || strings.IndexByte(" \t\n", s.src[off-1]) >= 0 || strings.IndexByte("[]{},", s.src[off-1]) >= 0):
			off = s.lineEnd(s.line(off))
		default:
			return off
		}
	}
	return off
}

// refuse makes the error for the place at off.
func (s *source) refuse(off int, reason, hint string) error {
	return s.refuseLine(s.line(off)+1, reason, hint)
}

func (s *source) refuseLine(line int, reason, hint string) error {
	return &RefusedError{File: s.path, Line: max(1, line), Reason: reason, hint: hint}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func isBlank(b []byte) bool {
	return len(bytes.TrimLeft(b, " \t\r\n")) == 0
}

func trimEnding(line string) string {
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
}
