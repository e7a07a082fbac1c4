package render

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// The protocol between parent and child. A frame is a kind (one byte), a length (four bytes, big endian) and that many bytes.
//
//	child  -> parent  hello    protocol name and version, once, before anything else
//	parent -> child   limits   JSON of limits, once
//	parent -> child   job      JSON of job
//	child  -> parent  ask      a path of the tree as fs.ValidPath wants it; the root is not asked for
//	parent -> child   answer   one byte of answer*, then the file's bytes or the reason
//	child  -> parent  outcome  JSON of outcome, then three frames part: before, after, diff
//
// One job is under way at a time, one ask within it.
const (
	frameHello   = 'h'
	frameLimits  = 'l'
	frameJob     = 'j'
	frameAsk     = 'q'
	frameAnswer  = 'a'
	frameOutcome = 'o'
	framePart    = 'p'
)

const (
	answerNone    = 'n' // no such path
	answerDir     = 'd'
	answerFile    = 'f' // the content follows
	answerRefused = 'x' // the reason follows; the build cannot go on
)

const (
	hello       = "boatlift-render 1"
	maxPath     = 4096
	maxReason   = 2000     // bytes
	maxHeader   = 32 << 10 // JSON of limits or of an outcome, two escaped reasons long
	frameHeader = 5
)

// limits is what the child needs to know to confine itself.
type limits struct {
	Memory   int64         // bytes
	CPU      time.Duration // processor time of the whole process
	FileSize int64         // bytes of one file of the tree
	JobSize  int64         // bytes of one job frame
	Output   int64         // bytes of one build
	Diff     int64         // bytes
	Line     int           // bytes of one line of the diff
	Paths    int           // paths asked for by one job
	Loads    int           // kustomizations loaded by one build, counting repetitions
}

type job struct {
	Dir     string            // relative to the root of the tree, clean, "." for the root
	Compare bool              // else Before only
	Overlay map[string][]byte // a nil value removes the file
}

type outcome struct {
	Before, After side
	Cut           bool // the diff is not all there is
}

// side is how one build went.
type side struct {
	Absent bool   // there is no such directory
	Reason string // why it was refused
}

var (
	errGarbage  = errors.New("the render process broke the protocol")
	errTooLarge = errors.New("larger than the limit")
)

func writeFrame(w io.Writer, kind byte, payload ...[]byte) error {
	size := 0
	for _, p := range payload {
		size += len(p)
	}
	if int64(size) > int64(1<<31) {
		return errTooLarge
	}
	buf := make([]byte, frameHeader, frameHeader+size)
	buf[0] = kind
	binary.BigEndian.PutUint32(buf[1:], uint32(size))
	for _, p := range payload {
		buf = append(buf, p...)
	}
	_, err := w.Write(buf)
	return err
}

// readFrame reads one frame whose size max allows for its kind; a kind that max gives 0 or less for is not expected here.
func readFrame(r io.Reader, max func(kind byte) int64) (byte, []byte, error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	kind, size, limit := head[0], int64(binary.BigEndian.Uint32(head[1:])), max(head[0])
	if limit <= 0 {
		return 0, nil, fmt.Errorf("%w: unexpected frame %q", errGarbage, kind)
	}
	if size > limit {
		return 0, nil, fmt.Errorf("%w: frame %q of %d bytes, at most %d are allowed", errGarbage, kind, size, limit)
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, err
	}
	return kind, payload, nil
}

// only allows frames of one kind.
func only(kind byte, size int64) func(byte) int64 {
	return func(k byte) int64 {
		if k != kind {
			return 0
		}
		return size
	}
}

func writeJSON(w io.Writer, kind byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	return writeFrame(w, kind, b)
}
