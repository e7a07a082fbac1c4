package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

const opFetch = "fetch objects"

// request is one fetch.
type request struct {
	wants   []oid
	haves   []oid
	shallow bool // only the wanted commits, without their history
	filter  filter
	// maxObjects is the brake: a pack that announces more is not read. 0 leaves the client's cap.
	maxObjects int
}

// These are what a ladder reacts to.
var (
	// errFilterRefused means that the server does filters, but not this kind.
	errFilterRefused = errors.New("the server does not accept the filter")
	// errNoFilters means that the repository offers none. Stock git, asked all the same, dies without a word: an empty success.
	errNoFilters = errors.New("the server does not accept filters")
)

// fetch does one request and returns the objects of its pack. Every object has been hashed.
func (r *Remote) fetch(ctx context.Context, q request) (map[oid]object, error) {
	if r.err != nil {
		return nil, r.err
	}
	version, err := r.fetchVersion(ctx, q)
	if err != nil {
		return nil, err
	}
	var body []byte
	if version == 2 {
		body = r.encodeFetchV2(q)
	} else if body, err = r.encodeFetchV0(q); err != nil {
		return nil, err
	}
	a, err := r.post(ctx, opFetch, uploadPack, version, body)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	pkts := newPktReader(a)
	if version == 2 {
		err = skipToPackV2(pkts)
	} else {
		err = skipToPackV0(pkts)
	}
	if err != nil {
		if refusal := refusesFilter(err); refusal != nil && q.filter.kind != filterNone {
			return nil, refusal
		}
		return nil, a.explain(err)
	}
	if version == 2 {
		r.host.setProtocol(2)
	}
	limits := packLimits{objects: r.client.opts.MaxObjects, bytes: 4 * r.client.opts.MaxBytes}
	if q.maxObjects > 0 {
		limits.objects = min(limits.objects, q.maxObjects)
	}
	objs, err := r.client.readPack(&bandReader{pkts: pkts}, limits, func(id oid) (object, bool) {
		return r.client.cache.get(cacheKey{r.repo.id, id})
	})
	if err != nil {
		return nil, a.explain(err)
	}
	a.complete = true
	return objs, nil
}

// fetchVersion is the protocol to fetch with. Before any listing it is found out, and so is, for version 0, whether the
// repository offers filters: stock git answers a filter it does not offer with an empty success.
func (r *Remote) fetchVersion(ctx context.Context, q request) (int, error) {
	v := r.host.protocol()
	r.repo.mu.Lock()
	asked := r.repo.filter
	r.repo.mu.Unlock()
	if v < 0 || v == 0 && asked == notAsked && q.filter.kind != filterNone {
		if _, err := r.Refs(ctx, "HEAD"); err != nil {
			return 0, err
		}
		v = r.host.protocol()
		r.repo.mu.Lock()
		asked = r.repo.filter
		r.repo.mu.Unlock()
	}
	if q.filter.kind != filterNone && (asked == notOffered || v == 0 && asked != offered) {
		return 0, errNoFilters
	}
	return v, nil
}

// encodeFetchV2 writes a fetch command (gitprotocol-v2).
func (r *Remote) encodeFetchV2(q request) []byte {
	b := appendPkt(make([]byte, 0, 256+50*(len(q.wants)+len(q.haves))), "command=fetch\n")
	b = r.appendCapsV2(b)
	b = appendDelim(b)
	b = appendPkt(b, "ofs-delta\n")
	b = appendPkt(b, "no-progress\n")
	for _, id := range q.wants {
		b = appendPkt(b, "want "+id.String()+"\n")
	}
	for _, id := range q.haves {
		b = appendPkt(b, "have "+id.String()+"\n")
	}
	if q.shallow {
		b = appendPkt(b, "deepen 1\n")
	}
	if q.filter.kind != filterNone {
		b = appendPkt(b, "filter "+string(q.filter.spec())+"\n")
	}
	b = appendPkt(b, "done\n")
	return appendFlush(b)
}

// encodeFetchV0 writes an upload request (gitprotocol-pack).
func (r *Remote) encodeFetchV0(q request) ([]byte, error) {
	req := packp.NewUploadPackRequest()
	caps := []capability.Capability{capability.Sideband64k, capability.OFSDelta, capability.NoProgress}
	if q.shallow {
		caps = append(caps, capability.Shallow)
		req.Depth = packp.DepthCommits(1)
	}
	if q.filter.kind != filterNone {
		caps = append(caps, capability.Filter)
		req.Filter = q.filter.spec()
	}
	for _, c := range caps {
		if err := req.Capabilities.Set(c); err != nil {
			return nil, fmt.Errorf("%s: capability %s: %w", opFetch, c, err)
		}
	}
	if err := req.Capabilities.Set(capability.Agent, r.agent()); err != nil {
		return nil, fmt.Errorf("%s: agent: %w", opFetch, err)
	}
	req.Wants = plumbingHashes(q.wants)
	req.Haves = plumbingHashes(q.haves)
	var b bytes.Buffer
	if err := req.UploadRequest.Encode(&b); err != nil {
		return nil, fmt.Errorf("%s: %w", opFetch, err)
	}
	if err := req.UploadHaves.Encode(&b, false); err != nil {
		return nil, fmt.Errorf("%s: %w", opFetch, err)
	}
	return appendPkt(b.Bytes(), "done\n"), nil
}

func plumbingHashes(ids []oid) []plumbing.Hash {
	hs := make([]plumbing.Hash, len(ids))
	for i, id := range ids {
		hs[i] = id.plumbing()
	}
	return hs
}

// skipToPackV2 passes over the sections before the pack. With "done" sent there are no acknowledgements.
func skipToPackV2(pkts *pktReader) error {
	for {
		mark, line, err := pkts.line()
		if err != nil {
			return err
		}
		if mark == pktData && line == "packfile" {
			return nil
		}
		if mark == pktFlush || mark == pktEnd {
			return fmt.Errorf("%w: an answer without a pack", errPkt)
		}
	}
}

// skipToPackV0 passes over shallow lines and acknowledgements. After "done" the last line before the pack is one NAK or ACK
// without a status.
func skipToPackV0(pkts *pktReader) error {
	for {
		mark, line, err := pkts.line()
		if err != nil {
			return err
		}
		if mark == pktData && (line == "NAK" || strings.HasPrefix(line, "ACK ") && strings.Count(line, " ") == 1) {
			return nil
		}
		if mark == pktData && !strings.HasPrefix(line, "shallow ") && !strings.HasPrefix(line, "unshallow ") &&
			!strings.HasPrefix(line, "ACK ") {
			return fmt.Errorf("%w: %.40q instead of a pack", errPkt, line)
		}
	}
}

// refusesFilter tells an answer to a filter from other refusals: an ERR packet that speaks of it, or nothing at all.
func refusesFilter(err error) error {
	var remote *remoteError
	switch {
	case err == io.EOF, errors.As(err, &remote) && strings.Contains(remote.text, "unexpected line"):
		return errNoFilters
	case remote != nil && strings.Contains(remote.text, "filter"):
		return errFilterRefused
	}
	return nil
}
