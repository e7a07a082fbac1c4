package gitrepo

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
)

// newObject is an object that a push brings. With delta, it is also known as a change of an object that the server has.
type newObject struct {
	id    oid
	obj   object
	base  oid
	delta []byte
}

// writePack writes a pack of the objects. A thin one sends deltas, where they are smaller, against objects that are only on the
// server; receive-pack completes it.
func (c *Client) writePack(objs []newObject, thin bool) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(64 + 256*len(objs))
	var head [12]byte
	copy(head[:], "PACK")
	binary.BigEndian.PutUint32(head[4:], 2)
	binary.BigEndian.PutUint32(head[8:], uint32(len(objs)))
	b.Write(head[:])
	z := c.deflaters.Get().(*zlib.Writer)
	defer c.deflaters.Put(z)
	for i := range objs {
		o := &objs[i]
		data := o.obj.data
		if thin && o.delta != nil && len(o.delta)+sha1.Size < len(data) {
			data = o.delta
			writeEntryHeader(&b, entryRefDelta, len(data))
			b.Write(o.base[:])
		} else {
			writeEntryHeader(&b, uint8(o.obj.kind), len(data))
		}
		z.Reset(&b)
		if _, err := z.Write(data); err != nil {
			return nil, fmt.Errorf("write pack: %w", err)
		}
		if err := z.Close(); err != nil {
			return nil, fmt.Errorf("write pack: %w", err)
		}
	}
	sum := sha1.Sum(b.Bytes())
	b.Write(sum[:])
	return b.Bytes(), nil
}

func writeEntryHeader(b *bytes.Buffer, typ uint8, size int) {
	c := typ<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		b.WriteByte(c | 0x80)
		c = byte(size & 0x7f)
	}
	b.WriteByte(c)
}
