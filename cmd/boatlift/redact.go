package main

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
)

// redacted stands in a log where a secret was.
const redacted = "[redacted]"

// secretShapes are what secrets look like wherever they come from: a server's answer, an error, a header. Nothing here is meant to be
// logged in the first place; this is the last net. GitHub's installation tokens come in two forms, of 40 and of about 520 characters with
// dots.
var secretShapes = regexp.MustCompile(
	`://[^\s/:@]+:[^\s/@]+@` +
		`|gh[pousr]_[A-Za-z0-9._-]{20,}` +
		`|github_pat_[A-Za-z0-9_]{20,}` +
		`|gl[a-z]{2,8}-[A-Za-z0-9._-]{16,}` +
		`|(?s:-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$))` +
		`|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]+)?`)

// secretPlaces are where a secret of any shape stands.
var secretPlaces = regexp.MustCompile(
	`(?i:authorization["']?\s*[:=]\s*["'\[]*(?:bearer|basic|token)?\s*)[^\s"'\],;]+` +
		`|(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9+/=._~-]{8,}` +
		`|(?i:x-gitlab-token["']?\s*[:=]\s*["'\[]*)[^\s"'\],;]+`)

func redact(s string) string {
	s = secretShapes.ReplaceAllStringFunc(s, func(found string) string {
		if len(found) > 3 && found[:3] == "://" {
			return "://" + redacted + "@"
		}
		return redacted
	})
	return secretPlaces.ReplaceAllString(s, redacted)
}

// redactingHandler takes secrets out of every message and attribute before they are written.
type redactingHandler struct{ next slog.Handler }

func (h redactingHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h redactingHandler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, redact(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(redactAttr(a))
		return true
	})
	return h.next.Handle(ctx, clean)
}

func (h redactingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = redactAttr(a)
	}
	return redactingHandler{h.next.WithAttrs(clean)}
}

func (h redactingHandler) WithGroup(name string) slog.Handler {
	return redactingHandler{h.next.WithGroup(name)}
}

func redactAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, redact(v.String()))
	case slog.KindGroup:
		group := v.Group()
		clean := make([]slog.Attr, len(group))
		for i, g := range group {
			clean[i] = redactAttr(g)
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(clean...)}
	case slog.KindAny:
		return slog.String(a.Key, redact(fmt.Sprint(v.Any())))
	default:
		return a
	}
}
