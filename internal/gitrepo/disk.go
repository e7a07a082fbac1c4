package gitrepo

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// The disk holds one file per repository: a first line, then a record per object in the order in which they came.
//
//	name (20 bytes)  kind (1)  length of the content (4, big-endian)  content
//
// A record is believed only if its content has its name, so a torn write, a damaged disk and a hand in the file all look the same:
// the object is not there. That is why nothing is ever synced.
const (
	diskFirstLine = "git objects 1\n"
	diskSuffix    = ".objects"
	diskHead      = 20 + 1 + 4
)

const (
	maxDiskObject = 1 << 20          // a larger one is fetched again
	maxDiskFile   = 4 << 20          // it is read into memory as a whole
	diskPause     = 10 * time.Minute // after a disk refused, before it is written to again
)

// disk is the object cache that outlives the process. All of it may be deleted at any time.
type disk struct {
	dir     string
	limit   int64 // of all files together
	perRepo int64
	now     func() time.Time
	trouble func(error) // may be nil

	mu      sync.Mutex
	written int64 // since the files were last counted; negative before the first time
	paused  time.Time
}

// newDisk may return nil: there is no cache on disk then.
func newDisk(opts Options) *disk {
	if opts.CacheDir == "" {
		return nil
	}
	return &disk{
		dir: opts.CacheDir, limit: opts.DiskBytes, perRepo: min(max(opts.DiskBytes/16, 64<<10), maxDiskFile), now: opts.Now, trouble: opts.DiskTrouble, written: -1,
	}
}

// diskFile is one repository's file. Its lock is held while the file is read or written.
type diskFile struct {
	disk *disk
	path string

	mu     sync.Mutex
	loaded bool
	lost   int64 // how many objects the memory had pushed out when the file was last loaded
	size   int64
}

func (d *disk) file(address string) *diskFile {
	if d == nil {
		return nil
	}
	sum := sha256.Sum256([]byte(address))
	return &diskFile{disk: d, path: filepath.Join(d.dir, hex.EncodeToString(sum[:16])+diskSuffix)}
}

// load reads the objects of the file, if they may not all be in memory: lost is how many objects that has pushed out until now.
func (f *diskFile) load(lost int64) (objs map[oid]object, order []oid) {
	if f == nil {
		return nil, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loaded && f.lost == lost {
		return nil, nil
	}
	f.loaded, f.lost = true, lost
	data, err := f.readLocked()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		f.disk.refused(err)
		return nil, nil
	}
	f.size = int64(len(data))
	objs, order, damaged := parseDisk(data)
	if damaged {
		f.rewriteLocked(objs, order)
	} else {
		now := f.disk.now()
		_ = os.Chtimes(f.path, now, now) // the files that are used leave last
	}
	return objs, order
}

func (f *diskFile) readLocked() ([]byte, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > 2*f.disk.perRepo {
		return nil, nil // not ours, or from a time with other bounds: it is made anew
	}
	return io.ReadAll(io.LimitReader(file, info.Size()))
}

// parseDisk returns the objects that are whole, in the order of the file, and whether anything else was found.
func parseDisk(data []byte) (objs map[oid]object, order []oid, damaged bool) {
	rest, found := bytes.CutPrefix(data, []byte(diskFirstLine))
	if !found {
		return nil, nil, true
	}
	objs = make(map[oid]object)
	for len(rest) > 0 {
		if len(rest) < diskHead {
			return objs, order, true
		}
		id, k, n := oid(rest[:20]), kind(rest[20]), int64(binary.BigEndian.Uint32(rest[21:]))
		if n > maxDiskObject || n > int64(len(rest)-diskHead) {
			return objs, order, true
		}
		content := rest[diskHead : diskHead+n : diskHead+n]
		rest = rest[diskHead+n:]
		if k < kindCommit || k > kindTag || objectID(k, content) != id {
			damaged = true
			continue
		}
		if _, twice := objs[id]; !twice {
			objs[id] = object{k, bytes.Clone(content)} // so that the cache does not keep the whole file
			order = append(order, id)
		}
	}
	return objs, order, damaged
}

// add appends objects. all are those that the present work has seen: where the file would grow too large, it is made anew of them.
func (f *diskFile) add(objs map[oid]object, all func() map[oid]object) {
	if f == nil || len(objs) == 0 || f.disk.isPaused() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.loaded { // what may stand at its end is not known
		return
	}
	body := encodeDisk(objs, sortedObjects(objs))
	if f.size+int64(len(body)) > f.disk.perRepo {
		kept := all()
		f.rewriteLocked(kept, sortedObjects(kept))
		return
	}
	if f.size == 0 {
		f.rewriteLocked(objs, sortedObjects(objs))
		return
	}
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) { // somebody tidied up
		f.rewriteLocked(objs, sortedObjects(objs))
		return
	}
	if err != nil {
		f.disk.refused(err)
		return
	}
	n, err := file.Write(body)
	if err != nil {
		_ = file.Truncate(f.size)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		f.disk.refused(err)
		return
	}
	f.size += int64(n)
	f.disk.wrote(int64(n))
}

// rewriteLocked replaces the file. What does not fit is left out, the largest first: contents that are not needed again soon.
func (f *diskFile) rewriteLocked(objs map[oid]object, order []oid) {
	var size int64
	for _, o := range objs {
		size += diskHead + int64(len(o.data))
	}
	if size > f.disk.perRepo/2 {
		bySize := slices.Clone(order)
		slices.SortStableFunc(bySize, func(a, b oid) int { return cmp.Compare(len(objs[b].data), len(objs[a].data)) })
		drop := map[oid]bool{}
		for _, id := range bySize {
			if size <= f.disk.perRepo/2 {
				break
			}
			drop[id] = true
			size -= diskHead + int64(len(objs[id].data))
		}
		order = slices.DeleteFunc(slices.Clone(order), func(id oid) bool { return drop[id] })
	}
	if err := f.replaceLocked(append([]byte(diskFirstLine), encodeDisk(objs, order)...)); err != nil {
		f.disk.refused(err)
	}
}

func (f *diskFile) replaceLocked(data []byte) error {
	if err := os.MkdirAll(f.disk.dir, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(f.disk.dir, "*.new")
	if err != nil {
		return err
	}
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), f.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	f.size = int64(len(data))
	f.disk.wrote(f.size)
	return nil
}

// sortedObjects has commits last: the ones that the file ends with are those that a fetch says it has.
func sortedObjects(objs map[oid]object) []oid {
	order := make([]oid, 0, len(objs))
	for id := range objs {
		order = append(order, id)
	}
	slices.SortFunc(order, func(a, b oid) int {
		return cmp.Or(-cmp.Compare(objs[a].kind, objs[b].kind), bytes.Compare(a[:], b[:]))
	})
	return order
}

func encodeDisk(objs map[oid]object, order []oid) []byte {
	var size int
	for _, id := range order {
		size += diskHead + len(objs[id].data)
	}
	b := make([]byte, 0, size)
	for _, id := range order {
		o := objs[id]
		if len(o.data) > maxDiskObject {
			continue
		}
		b = append(b, id[:]...)
		b = append(b, byte(o.kind))
		b = binary.BigEndian.AppendUint32(b, uint32(len(o.data)))
		b = append(b, o.data...)
	}
	return b
}

// refused notes that the disk did not do its work. The cache is a convenience, so the work goes on without it.
func (d *disk) refused(err error) {
	d.mu.Lock()
	d.paused = d.now().Add(diskPause)
	d.mu.Unlock()
	if d.trouble != nil {
		d.trouble(fmt.Errorf("keep git objects on disk: %w", err))
	}
}

func (d *disk) isPaused() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now().Before(d.paused)
}

// wrote counts, and now and then looks that all files together stay within the bound.
func (d *disk) wrote(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.written >= 0 && d.written+n < d.limit/16 {
		d.written += n
		return
	}
	d.written = 0
	if err := d.tidyLocked(); err != nil && d.trouble != nil {
		d.trouble(fmt.Errorf("tidy the git objects on disk: %w", err))
	}
}

// tidyLocked removes the files that were not used for longest, and what a process that was killed left half written.
func (d *disk) tidyLocked() error {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	var files []fs.FileInfo
	var size int64
	var errs []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // it went just now
		}
		switch {
		case strings.HasSuffix(e.Name(), diskSuffix):
			files = append(files, info)
			size += info.Size()
		case strings.HasSuffix(e.Name(), ".new") && d.now().Sub(info.ModTime()) > time.Hour:
			errs = append(errs, os.Remove(filepath.Join(d.dir, e.Name())))
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range files {
		if size <= d.limit-d.limit/8 {
			break
		}
		if err := os.Remove(filepath.Join(d.dir, info.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
			continue
		}
		size -= info.Size()
	}
	return errors.Join(errs...)
}
