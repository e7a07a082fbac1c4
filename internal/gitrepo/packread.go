package gitrepo

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"hash"
	"io"
	"math"
)

// packLimits bound what a pack may make us hold.
type packLimits struct {
	objects int
	bytes   int64 // inflated, deltas included
}

// Types of pack entries beyond those of objects (gitformat-pack).
const (
	entryOfsDelta = 6
	entryRefDelta = 7
)

// packStream counts and hashes what is read, byte by byte where flate does, so that it reads no byte too many.
type packStream struct {
	r      *bufio.Reader
	hash   hash.Hash
	offset int64
	pend   []byte // read by ReadByte, not hashed yet
}

func (s *packStream) ReadByte() (byte, error) {
	b, err := s.r.ReadByte()
	if err == nil {
		s.offset++
		s.pend = append(s.pend, b)
		if len(s.pend) == cap(s.pend) {
			s.flush()
		}
	}
	return b, err
}

func (s *packStream) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.flush()
	s.hash.Write(p[:n])
	s.offset += int64(n)
	return n, err
}

func (s *packStream) flush() {
	s.hash.Write(s.pend)
	s.pend = s.pend[:0]
}

// packReader is the state of one pack. A delta whose base has not come yet waits for it by offset or by name.
type packReader struct {
	stream  *packStream
	limits  packLimits
	used    int64
	outside func(oid) (object, bool)
	inflate io.ReadCloser

	objects  map[oid]object
	byOffset map[int64]oid
	waiting  map[baseRef][]waitingDelta
	pending  int
}

// baseRef is one of the two ways to name the base of a delta.
type baseRef struct {
	offset int64
	id     oid
}

type waitingDelta struct {
	offset int64
	delta  []byte
}

// readPack reads a whole pack and checks its trailer. outside gives bases that are not in the pack.
func (c *Client) readPack(r io.Reader, limits packLimits, outside func(oid) (object, bool)) (map[oid]object, error) {
	stream := &packStream{r: bufio.NewReaderSize(r, 16<<10), hash: sha1.New(), pend: make([]byte, 0, 512)}
	var head [12]byte
	if _, err := io.ReadFull(stream, head[:]); err != nil {
		return nil, packEnd(err)
	}
	if string(head[:4]) != "PACK" {
		return nil, &MalformedError{Reason: "it does not begin with PACK"}
	}
	if v := binary.BigEndian.Uint32(head[4:]); v != 2 && v != 3 {
		return nil, &MalformedError{Reason: "unknown version"}
	}
	count := int64(binary.BigEndian.Uint32(head[8:]))
	if count > int64(limits.objects) {
		return nil, &TooLargeError{"pack", int64(limits.objects), "objects"}
	}
	p := &packReader{
		stream: stream, limits: limits, outside: outside,
		objects:  make(map[oid]object, min(count, 4096)),
		byOffset: make(map[int64]oid, min(count, 4096)),
		waiting:  make(map[baseRef][]waitingDelta),
	}
	if z, ok := c.inflaters.Get().(io.ReadCloser); ok {
		p.inflate = z
	}
	defer func() {
		if p.inflate != nil {
			c.inflaters.Put(p.inflate)
		}
	}()
	for range count {
		if err := p.entry(); err != nil {
			return nil, err
		}
	}
	if p.pending > 0 {
		return nil, &MalformedError{Reason: "a delta's base is missing"}
	}
	stream.flush()
	sum := stream.hash.Sum(nil)
	var trailer [sha1.Size]byte
	if _, err := io.ReadFull(stream, trailer[:]); err != nil {
		return nil, packEnd(err)
	}
	if !bytes.Equal(sum, trailer[:]) {
		return nil, &MalformedError{Reason: "its checksum is wrong"}
	}
	// The rest is the closing of the side band; reading it keeps the connection usable, and a server must not hide more there.
	var extra [1]byte
	if n, err := stream.r.Read(extra[:]); n > 0 {
		return nil, &MalformedError{Reason: "something follows it"}
	} else if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return p.objects, nil
}

// packEnd says of a pack that it ends too early, and keeps errors of the connection and limits as they are.
func packEnd(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return &MalformedError{Reason: "it ends too early"}
	}
	return err
}

// entry reads one entry and whatever waited for it.
func (p *packReader) entry() error {
	at := p.stream.offset
	typ, size, err := p.entryHeader()
	if err != nil {
		return err
	}
	var base baseRef
	switch typ {
	case uint8(kindCommit), uint8(kindTree), uint8(kindBlob), uint8(kindTag):
		data, err := p.inflateEntry(size)
		if err != nil {
			return err
		}
		return p.add(at, object{kind(typ), data})
	case entryOfsDelta:
		back, err := p.backOffset()
		if err != nil {
			return err
		}
		if back <= 0 || back > at {
			return &MalformedError{Reason: "a delta's base lies outside it"}
		}
		base.offset = at - back
	case entryRefDelta:
		if _, err := io.ReadFull(p.stream, base.id[:]); err != nil {
			return packEnd(err)
		}
	default:
		return &MalformedError{Reason: "unknown type of entry"}
	}
	delta, err := p.inflateEntry(size)
	if err != nil {
		return err
	}
	obj, ok := p.base(base)
	if !ok {
		p.waiting[base] = append(p.waiting[base], waitingDelta{at, delta})
		p.pending++
		return nil
	}
	obj.data, err = p.patch(obj.data, delta)
	if err != nil {
		return err
	}
	return p.add(at, obj)
}

func (p *packReader) base(ref baseRef) (object, bool) {
	id := ref.id
	if ref.offset != 0 {
		var ok bool
		if id, ok = p.byOffset[ref.offset]; !ok {
			return object{}, false
		}
	}
	if o, ok := p.objects[id]; ok {
		return o, true
	}
	return p.outside(id)
}

// add keeps an object and resolves, without recursion, the deltas that waited for it.
func (p *packReader) add(at int64, o object) error {
	type located struct {
		at int64
		o  object
	}
	work := []located{{at, o}}
	for len(work) > 0 {
		l := work[len(work)-1]
		work = work[:len(work)-1]
		id := objectID(l.o.kind, l.o.data)
		p.objects[id] = l.o
		p.byOffset[l.at] = id
		if p.pending == 0 {
			continue
		}
		for _, ref := range []baseRef{{offset: l.at}, {id: id}} {
			for _, w := range p.waiting[ref] {
				data, err := p.patch(l.o.data, w.delta)
				if err != nil {
					return err
				}
				p.pending--
				work = append(work, located{w.offset, object{l.o.kind, data}})
			}
			delete(p.waiting, ref)
		}
	}
	return nil
}

func (p *packReader) patch(base, delta []byte) ([]byte, error) {
	size, err := deltaTargetSize(delta)
	if err != nil {
		return nil, err
	}
	if err := p.account(size); err != nil {
		return nil, err
	}
	return applyDelta(base, delta)
}

// account adds to the inflated size before anything of that size is allocated.
func (p *packReader) account(size uint64) error {
	if size > uint64(p.limits.bytes-p.used) {
		return &TooLargeError{"inflated pack", p.limits.bytes, "bytes"}
	}
	p.used += int64(size)
	return nil
}

// entryHeader reads type and inflated size.
func (p *packReader) entryHeader() (typ uint8, size uint64, err error) {
	b, err := p.stream.ReadByte()
	if err != nil {
		return 0, 0, packEnd(err)
	}
	typ, size = b>>4&7, uint64(b&15)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if shift > 53 {
			return 0, 0, &MalformedError{Reason: "an entry's size is too long"}
		}
		if b, err = p.stream.ReadByte(); err != nil {
			return 0, 0, packEnd(err)
		}
		size |= uint64(b&0x7f) << shift
	}
	return typ, size, nil
}

// backOffset reads how far back the base of an offset delta begins.
func (p *packReader) backOffset() (int64, error) {
	b, err := p.stream.ReadByte()
	if err != nil {
		return 0, packEnd(err)
	}
	n := int64(b & 0x7f)
	for b&0x80 != 0 {
		if n > math.MaxInt64>>8 {
			return 0, &MalformedError{Reason: "a delta's offset is too long"}
		}
		if b, err = p.stream.ReadByte(); err != nil {
			return 0, packEnd(err)
		}
		n = (n+1)<<7 | int64(b&0x7f)
	}
	return n, nil
}

// inflateEntry reads one zlib stream of exactly size bytes.
func (p *packReader) inflateEntry(size uint64) ([]byte, error) {
	if err := p.account(size); err != nil {
		return nil, err
	}
	var err error
	if p.inflate == nil {
		p.inflate, err = zlib.NewReader(p.stream)
	} else {
		err = p.inflate.(zlib.Resetter).Reset(p.stream, nil)
	}
	if err != nil {
		return nil, inflateError(err)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(p.inflate, data); err != nil {
		return nil, inflateError(err)
	}
	var extra [1]byte
	if n, err := p.inflate.Read(extra[:]); n > 0 {
		return nil, &MalformedError{Reason: "an entry is longer than it says"}
	} else if !errors.Is(err, io.EOF) {
		return nil, inflateError(err)
	}
	return data, nil
}

func inflateError(err error) error {
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return &MalformedError{Reason: "an entry ends too early"}
	case errors.Is(err, zlib.ErrHeader), errors.Is(err, zlib.ErrChecksum), errors.Is(err, zlib.ErrDictionary), corrupt(err):
		return &MalformedError{Reason: "an entry cannot be inflated"}
	}
	return err
}
