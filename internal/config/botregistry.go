package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/image"
)

// Registry is a registry whose pushes are heard.
type Registry struct {
	Name, Type string
	Host       string  // as images name it; empty: what webhooks say, or the type's own
	Secrets    Secrets // prove its webhooks; none where Webhook is set
	Webhook    string  // the name of the forge by whose webhook its pushes come; empty: its own, at /hooks/Name
	Username   string  // empty: no credentials
	Password   Secret
	Helper     string            // logs in by what a cloud gives to the machine: ecr, gar or acr; empty: none
	Insecure   bool              // the host is asked without TLS
	Settings   map[string]string // what the type needs besides
	Poll       time.Duration     // how often it is asked for tags; 0: the type's own default
	PollOff    bool              // never
	OnlyPolled bool              // it has no webhook
}

func (b *botCheck) registry(r registryEntry, forges []forgeEntry) Registry {
	if r.Type.set && !slices.Contains(b.env.RegistryTypes, r.Type.value) {
		right := "no type is known here"
		if len(b.env.RegistryTypes) > 0 {
			right = choice(r.Type.value, b.env.RegistryTypes)
		}
		b.add(r.Type, "type has no such value", right)
	}
	out := Registry{
		Name: r.Name.value, Type: r.Type.value, Host: b.host(r.Host), Webhook: r.Webhook.value, Insecure: r.Insecure.value, Secrets: b.secrets(r.Secret, "secret"),
		Settings: r.Settings.values, OnlyPolled: b.onlyPolled(r),
	}
	out.Poll, out.PollOff = b.pollOf(r)
	const ghcr = "ghcr"
	switch {
	case r.Secret.line > 0 && r.Webhook.line > 0:
		b.add(r.Webhook, "secret and webhook exclude each other: pushes that come by a forge's webhook are proved by its webhookSecret", "leave one of the two out")
	case r.Webhook.set && r.Type.set && r.Type.value != ghcr:
		b.add(r.Webhook, "only registries of type ghcr send by a forge's webhook", "write secret: env:NAME instead")
	case r.Webhook.set:
		var names []string
		for _, f := range forges {
			if entryPattern.MatchString(f.Name.value) { // no other is shown
				names = append(names, f.Name.value)
			}
		}
		if !slices.Contains(names, r.Webhook.value) {
			right := "add the forge under forges:, and write its name here"
			if len(names) > 0 {
				right = choice(r.Webhook.value, names)
			}
			b.add(r.Webhook, "webhook names no forge of this file", right)
		}
	case slices.Contains(b.env.NoSecret, r.Type.value):
		// whoever makes the endpoint tells whether this one needs a secret
	case r.isMap && r.Secret.line == 0 && r.Webhook.line == 0 && (r.Poll.line == 0 || r.Poll.off):
		right := "write secret: env:NAME, or poll: 5m if it is to be asked only"
		if r.Type.value == ghcr {
			right += ", or webhook: and the name of the forge by whose App webhook pushes come"
		}
		b.add(r, "secret is missing, so anybody could post pushes", right)
	}
	b.credentials(r, &out)
	if r.Insecure.value && r.Host.line == 0 {
		b.add(r.Insecure, "insecure needs the host that it is for", "write host: registry.acme.io as images name it")
	}
	return out
}

func (b *botCheck) host(t text) string {
	if !t.set {
		return ""
	}
	name, err := image.NewName(t.value, "x/x")
	if err != nil {
		b.add(t, "host is no registry's host", "write it as images name it, without https:// and path: registry.acme.io or localhost:5000")
		return ""
	}
	return name.Host()
}

// hosts checks that what is said of a host is said once, and that a forge's webhook brings the pushes of one registry.
func (b *botCheck) hosts(file botFile) {
	credentials, webhooks := map[string]int{}, map[string]int{}
	for _, r := range file.Registries {
		if host := strings.ToLower(r.Host.value); r.Credentials != nil && r.Host.set {
			if line, twice := credentials[host]; twice {
				b.add(r.Credentials, fmt.Sprintf("the same host has credentials already, in line %d", line), "write them once")
			} else {
				credentials[host] = r.Credentials.line
			}
		}
		if r.Webhook.set {
			if line, twice := webhooks[r.Webhook.value]; twice {
				b.add(r.Webhook, fmt.Sprintf("the pushes of another registry come by this webhook, in line %d", line), "write one entry for them")
			} else {
				webhooks[r.Webhook.value] = r.Webhook.line
			}
		}
	}
}
