package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"
)

// changingFile is a file that a test changes, with a clock and what was told.
type changingFile struct {
	mu   sync.Mutex
	text string
	err  error
	now  time.Time
	told []string
}

func (c *changingFile) environ() Environ {
	return Environ{
		ReadFile: func(string) ([]byte, error) { c.mu.Lock(); defer c.mu.Unlock(); return []byte(c.text), c.err },
		Now:      func() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now },
		Renewed: func(key string, err error) {
			c.told = append(c.told, fmt.Sprint(key, ": ", err))
		},
		RegistryTypes: []string{"distribution"},
	}
}

func (c *changingFile) set(text string, err error, later time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text, c.err, c.now = text, err, c.now.Add(later)
}

func TestASecretInAFileIsFollowedAndNeverLost(t *testing.T) {
	file := &changingFile{text: "first-secret\n", now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	bot, err := ParseBot("boatlift.yaml", []byte("registries: [{name: acme, type: distribution, secret: file:s}]\nforges: [{name: github, type: github, token: file:s, webhookSecret: file:s}]"), file.environ())
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]func() []byte{
		"secret": bot.Registries[0].Secrets[0].Reveal, "token": bot.Forges[0].Token.Reveal, "webhookSecret": bot.Forges[0].WebhookSecrets[0].Reveal,
	}
	for _, step := range []struct {
		text  string
		err   error
		later time.Duration
		want  string
		told  string
	}{
		{"first-secret", nil, 0, "first-secret", ""},
		{"second-secret\r\n", nil, time.Second / 2, "first-secret", ""}, // read less than a second ago
		{"second-secret\r\n", nil, time.Second, "second-secret", "<nil>"},
		{"", nil, time.Second, "second-secret", "its file is empty"},
		{" \n", nil, time.Second, "second-secret", ""}, // told already
		{"", &fs.PathError{Op: "open", Path: "s", Err: fs.ErrNotExist}, time.Second, "second-secret", "its file cannot be read: there is no such file"},
		{"", errors.New("input/output error"), time.Second, "second-secret", "its file cannot be read: input/output error"},
		{strings.Repeat("x", maxSecret+1), nil, time.Second, "second-secret", "its file is larger than 64 KiB"},
		{"second-secret", nil, time.Second, "second-secret", ""},
		{"third-secret", nil, time.Second, "third-secret", "<nil>"},
		{"fourth-secret", nil, -time.Hour, "fourth-secret", "<nil>"}, // the clock was set back
	} {
		file.set(step.text, step.err, step.later)
		file.told = nil
		for name, reveal := range secrets {
			if got := string(reveal()); got != step.want {
				t.Errorf("with %.20q in the file, %s is %q; want %q", step.text, name, got, step.want)
			}
		}
		if step.told == "" && len(file.told) > 0 || step.told != "" && (len(file.told) != len(secrets) || !strings.HasSuffix(file.told[0], ": "+step.told)) {
			t.Errorf("with %.20q in the file, it was told %q; want %q of each", step.text, file.told, step.told)
		}
		if said := fmt.Sprint(file.told); strings.Contains(said, "-secret") {
			t.Errorf("a secret was told: %s", said)
		}
	}
}

func TestAFileIsReadOnceASecondHoweverOftenItsSecretIsUsed(t *testing.T) {
	reads := 0
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	env := Environ{
		ReadFile: func(string) ([]byte, error) { reads++; return []byte("a-secret-of-some-length"), nil }, Now: func() time.Time { return now },
	}
	bot, err := ParseBot("boatlift.yaml", []byte("tokens: [{name: screen, role: read, token: file:t}]"), env)
	if err != nil {
		t.Fatal(err)
	}
	reads = 0
	for range 100 {
		bot.Tokens[0].Token.Reveal()
	}
	now = now.Add(time.Second)
	bot.Tokens[0].Token.Reveal()
	if reads != 1 {
		t.Errorf("the file was read %d times; want once", reads)
	}
}
