package gitrepo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Packet lines are git's framing: four hexadecimal digits of length, themselves included, then the payload. Lengths 0, 1 and 2
// are marks without a payload (gitprotocol-common, gitprotocol-v2).

type pktMark uint8

const (
	pktData pktMark = iota
	pktFlush
	pktDelim
	pktEnd
)

// maxPkt is the longest packet that git sends, header included.
const maxPkt = 65520

// errPkt is framing that is not git's. A body that is empty altogether gives io.EOF instead.
var errPkt = errors.New("not a packet line")

// remoteError is an ERR packet or a fatal message on the error band: the server's own words, not yet cleaned.
type remoteError struct{ text string }

func (e *remoteError) Error() string { return "server error: " + e.text }

// pktReader reads packets into one buffer.
type pktReader struct {
	r   io.Reader
	buf []byte
}

func newPktReader(r io.Reader) *pktReader { return &pktReader{r: r} }

// next returns a packet. The payload is valid until the next call. io.EOF comes only between packets.
func (p *pktReader) next() (pktMark, []byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		if err == io.ErrUnexpectedEOF { // not a broken connection that wraps it
			err = fmt.Errorf("%w: the answer ends within a length", errPkt)
		}
		return 0, nil, err
	}
	n := 0
	for _, c := range head {
		d := unhex(c | 0x20) // lengths may be upper case
		if c < '0' || d > 15 {
			return 0, nil, fmt.Errorf("%w: length %q", errPkt, head)
		}
		n = n<<4 | int(d)
	}
	switch {
	case n == 0:
		return pktFlush, nil, nil
	case n == 1:
		return pktDelim, nil, nil
	case n == 2:
		return pktEnd, nil, nil
	case n < 4 || n > maxPkt:
		return 0, nil, fmt.Errorf("%w: length %d", errPkt, n)
	}
	n -= 4
	if cap(p.buf) < n {
		p.buf = make([]byte, max(n, 4096))
	}
	payload := p.buf[:n]
	if _, err := io.ReadFull(p.r, payload); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = fmt.Errorf("%w: the answer ends within a packet", errPkt)
		}
		return 0, nil, err
	}
	return pktData, payload, nil
}

// line is next for text: the line feed is cut off and an ERR packet becomes a remoteError.
func (p *pktReader) line() (pktMark, string, error) {
	mark, b, err := p.next()
	if err != nil || mark != pktData {
		return mark, "", err
	}
	if text, ok := bytes.CutPrefix(b, []byte("ERR ")); ok {
		return mark, "", &remoteError{strings.TrimSpace(string(text))}
	}
	return mark, string(bytes.TrimSuffix(b, []byte{'\n'})), nil
}

// bandReader takes the data out of side-band packets. What the server tells people is kept up to a limit.
type bandReader struct {
	pkts     *pktReader
	rest     []byte
	done     bool
	progress []byte
}

// maxProgress is how much of a server's messages is kept: hooks say there why they refuse.
const maxProgress = 4096

func (b *bandReader) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.done {
			return 0, io.EOF
		}
		mark, payload, err := b.pkts.next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: the answer ends without a flush", errPkt)
			}
			return 0, err
		}
		switch {
		case mark == pktFlush || mark == pktEnd:
			b.done = true
		case mark != pktData || len(payload) == 0:
			continue // a keep-alive
		case payload[0] == 1:
			b.rest = payload[1:]
		case payload[0] == 2:
			room := maxProgress - len(b.progress)
			b.progress = append(b.progress, payload[1:min(len(payload), 1+room)]...)
		case payload[0] == 3:
			return 0, &remoteError{strings.TrimSpace(string(payload[1:]))}
		case bytes.HasPrefix(payload, []byte("ERR ")):
			return 0, &remoteError{strings.TrimSpace(string(payload[4:]))}
		default:
			return 0, fmt.Errorf("%w: band %d", errPkt, payload[0])
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// messages is what the server told people, without its percentages.
func (b *bandReader) messages() string {
	var kept []string
	for _, l := range strings.FieldsFunc(string(b.progress), func(r rune) bool { return r == '\n' || r == '\r' }) {
		l = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(l), "remote:"))
		if l != "" && !strings.Contains(l, "% (") && !strings.HasSuffix(l, ", done.") {
			kept = append(kept, l)
		}
	}
	return strings.Join(kept, " ")
}

// appendPkt appends one packet. Payloads of ours are far below the limit.
func appendPkt(b []byte, payload string) []byte {
	return append(fmt.Appendf(b, "%04x", len(payload)+4), payload...)
}

func appendFlush(b []byte) []byte { return append(b, "0000"...) }
func appendDelim(b []byte) []byte { return append(b, "0001"...) }
