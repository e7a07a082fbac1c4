package gitrepo

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"

	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// A delta is two sizes and a list of instructions: copy a range of the base, or insert bytes (gitformat-pack).

func corrupt(err error) bool {
	var e flate.CorruptInputError
	return errors.As(err, &e)
}

var errDelta = &MalformedError{Reason: "a delta does not fit its base"}

// deltaTargetSize is the size that a delta promises, read before anything is allocated.
func deltaTargetSize(delta []byte) (uint64, error) {
	_, n := binary.Uvarint(delta)
	if n <= 0 {
		return 0, errDelta
	}
	size, n := binary.Uvarint(delta[n:])
	if n <= 0 {
		return 0, errDelta
	}
	return size, nil
}

// applyDelta makes the target of a delta whose target size the caller has accepted.
func applyDelta(base, delta []byte) ([]byte, error) {
	from, n := binary.Uvarint(delta)
	if n <= 0 || from != uint64(len(base)) {
		return nil, errDelta
	}
	delta = delta[n:]
	to, n := binary.Uvarint(delta)
	if n <= 0 {
		return nil, errDelta
	}
	delta = delta[n:]
	out := make([]byte, 0, to)
	for len(delta) > 0 {
		op := delta[0]
		delta = delta[1:]
		if op == 0 {
			return nil, errDelta
		}
		if op&0x80 == 0 {
			n := int(op)
			if n > len(delta) || uint64(len(out)+n) > to {
				return nil, errDelta
			}
			out = append(out, delta[:n]...)
			delta = delta[n:]
			continue
		}
		var arg [7]byte // four bytes of offset, three of size; the low bits of op say which are there
		for i := range arg {
			if op>>i&1 == 0 {
				continue
			}
			if len(delta) == 0 {
				return nil, errDelta
			}
			arg[i], delta = delta[0], delta[1:]
		}
		start := uint64(binary.LittleEndian.Uint32(arg[:4]))
		size := uint64(arg[4]) | uint64(arg[5])<<8 | uint64(arg[6])<<16
		if size == 0 {
			size = 0x10000
		}
		if start+size > uint64(len(base)) || uint64(len(out))+size > to {
			return nil, errDelta
		}
		out = append(out, base[start:start+size]...)
	}
	if uint64(len(out)) != to {
		return nil, errDelta
	}
	return out, nil
}

// edit replaces base[from:to] by text. Edits of one object are sorted and do not overlap.
type edit struct {
	from, to int
	text     []byte
}

// editDelta writes the delta that the edits are. Nothing has to be searched: the splice knows what it changed.
func editDelta(base []byte, edits []edit, size int) []byte {
	d := binary.AppendUvarint(make([]byte, 0, 32+48*len(edits)), uint64(len(base)))
	d = binary.AppendUvarint(d, uint64(size))
	at := 0
	for _, e := range edits {
		d = appendCopy(d, at, e.from-at)
		d = appendInsert(d, e.text)
		at = e.to
	}
	return appendCopy(d, at, len(base)-at)
}

func appendCopy(d []byte, start, size int) []byte {
	for size > 0 {
		n := min(size, 0xffff)
		op := len(d)
		d = append(d, 0x80)
		for i, v := range []int{start, start >> 8, start >> 16, start >> 24, n, n >> 8} {
			if byte(v) != 0 {
				d[op] |= 1 << i
				d = append(d, byte(v))
			}
		}
		start, size = start+n, size-n
	}
	return d
}

func appendInsert(d, text []byte) []byte {
	for len(text) > 0 {
		n := min(len(text), 0x7f)
		d = append(append(d, byte(n)), text[:n]...)
		text = text[n:]
	}
	return d
}

// blobDelta is the delta between two versions of a file. Most edits change one line: what the versions share at both ends
// says it all. Only when much lies between is the expensive search tried as well.
func blobDelta(from, to []byte) []byte {
	head := commonPrefix(from, to)
	tail := commonSuffix(from[head:], to[head:])
	middle := to[head : len(to)-tail]
	d := editDelta(from, []edit{{head, len(from) - tail, middle}}, len(to))
	if len(middle) > 512 {
		if searched := packfile.DiffDelta(from, to); len(searched) < len(d) {
			return searched
		}
	}
	return d
}

func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	const block = 256
	i := 0
	for i+block <= n && bytes.Equal(a[i:i+block], b[i:i+block]) {
		i += block
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

func commonSuffix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for i < n && a[len(a)-1-i] == b[len(b)-1-i] {
		i++
	}
	return i
}
