package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// secrets in every form that must never reach a log.
func secrets() map[string]string {
	return map[string]string{
		"installation token":      "ghs_" + strings.Repeat("a1B2", 9),
		"long installation token": "ghs_1001_eyJhbGciOiJSUzI1NiJ9." + strings.Repeat("Zm9v", 110) + "." + strings.Repeat("x-_9", 15),
		"personal token":          "ghp_" + strings.Repeat("Q7", 18),
		"fine-grained token":      "github_pat_11ABCDEFG0" + strings.Repeat("k_3", 20),
		"gitlab token":            "glpat-" + strings.Repeat("xY3", 7),
		"gitlab deploy token":     "gldt-" + strings.Repeat("xY3", 7),
		"private key":             "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA" + strings.Repeat("b", 60) + "\n-----END RSA PRIVATE KEY-----",
		"cut private key":         "-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEA" + strings.Repeat("b", 60),
		"web token":               "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiIxMDAxIn0." + strings.Repeat("s", 80),
	}
}

func TestSecretsNeverReachALog(t *testing.T) {
	for name, secret := range secrets() {
		for how, log := range map[string]func(*slog.Logger){
			"message":   func(l *slog.Logger) { l.Info("got " + secret + " back") },
			"attribute": func(l *slog.Logger) { l.Info("x", "a", "before "+secret+" after") },
			"error":     func(l *slog.Logger) { l.Error("x", "error", fmt.Errorf("push: %w", errors.New("told "+secret))) },
			"with":      func(l *slog.Logger) { l.With("a", secret).Info("x") },
			"group":     func(l *slog.Logger) { l.Info("x", slog.Group("g", slog.Group("h", "a", secret))) },
			"header":    func(l *slog.Logger) { l.Info("x", "headers", http.Header{"Authorization": {"Bearer " + secret}}) },
			"url":       func(l *slog.Logger) { l.Info("x", "url", "https://x-access-token:"+secret+"@github.com/acme/infra") },
		} {
			if how == "url" && strings.Contains(secret, "\n") {
				continue // no key fits into a URL
			}
			var out bytes.Buffer
			log(slog.New(redactingHandler{slog.NewTextHandler(&out, nil)}))
			for _, part := range []string{secret[len(secret)-12:], secret[10:22]} {
				part = strings.Trim(part, "-\n ")
				if part != "" && !strings.Contains("PRIVATE KEY-----", part) && strings.Contains(out.String(), part) {
					t.Errorf("%s as %s: the log shows %q: %s", name, how, part, out.String())
				}
			}
			if !strings.Contains(out.String(), redacted) {
				t.Errorf("%s as %s: nothing was redacted: %s", name, how, out.String())
			}
		}
	}
}

func TestBasicAuthAndTokensInHeadersAreRedacted(t *testing.T) {
	for _, in := range []string{
		"Authorization: Basic dXNlcjpwYXNzd29yZA==", `{"authorization":"token abcdefghijkl"}`, "X-Gitlab-Token: hunter2hunter2", "sent bearer abcdefghijklmnop",
	} {
		if got := redact(in); strings.Contains(got, "dXNlcjpw") || strings.Contains(got, "abcdefghijkl") || strings.Contains(got, "hunter2") {
			t.Errorf("redact(%q) = %q, want no secret in it", in, got)
		}
	}
}

func TestOrdinaryWordsStay(t *testing.T) {
	for _, in := range []string{
		"acme/infra-production#7 is open", "registry.acme.io/shop/web:1.4.2@sha256:" + strings.Repeat("a", 64), "http://127.0.0.1:8080/hooks/github",
		"boatlift/production-web-aa044622537b", "basic checks passed",
	} {
		if got := redact(in); got != in {
			t.Errorf("redact(%q) = %q, want it unchanged", in, got)
		}
	}
}
