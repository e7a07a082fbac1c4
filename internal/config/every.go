package config

import (
	"slices"
	"time"
)

// every is a key with a duration after which something is done again, or off.
type every struct {
	place
	set   bool // to a duration
	off   bool
	value time.Duration
}

func (e *every) read(d *decoder, n *node, f field) {
	if n.kind == scalarText && n.value.(string) == "off" {
		e.off = true
		return
	}
	if n.kind == scalarBool {
		d.add(n, f.key+" is neither a duration nor off", f.right()+", or "+f.key+": off")
		return
	}
	var s span
	s.read(d, n, f)
	e.set, e.value = s.set, s.value
}

// pollOf is how often a registry is polled, as its entry says; it needs to know which registry to ask.
func (b *botCheck) pollOf(r registryEntry) (poll time.Duration, off bool) {
	if r.Poll.set && (r.Poll.value < minPoll || r.Poll.value > maxPoll) {
		b.add(r.Poll, "poll must be between a second and a day", "write poll: 5m, or poll: off")
	}
	if r.Poll.set && r.Host.line == 0 && !b.env.hasHost(r.Type.value) {
		b.add(r.Poll, "poll needs the host that is to be asked", "write host: registry.acme.io as images name it")
	}
	return r.Poll.value, r.Poll.off
}

// onlyPolled tells whether an entry has no webhook: nothing in it could prove one.
func (b *botCheck) onlyPolled(r registryEntry) bool {
	provesItself := slices.Contains(b.env.NoSecret, r.Type.value) && r.Settings.set
	return r.Poll.set && r.Secret.line == 0 && r.Webhook.line == 0 && !provesItself
}
