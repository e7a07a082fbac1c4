package config

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"
)

// live is a secret in a file, which may be replaced while the bot runs: it is read again when it is used, at most once a second. What
// cannot be read, or is empty, does not take the place of what was there: nobody is locked out because a file is just being written.
type live struct {
	key  string // in the bot's file, for the log
	read func() ([]byte, error)
	now  func() time.Time
	tell func(key string, err error)

	mu    sync.Mutex
	value []byte
	at    time.Time // when it was read
	said  string    // what was told of it last
}

// freshFor is how long a file that was read is believed.
const freshFor = time.Second

func (l *live) reveal() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.now(); now.Sub(l.at) >= freshFor || now.Before(l.at) {
		l.at = now
		l.renew()
	}
	return bytes.Clone(l.value)
}

// renew reads the file. What changed is told once.
func (l *live) renew() {
	value, err := l.read()
	switch value = trimmed(value); {
	case err != nil:
		err = errors.New("its file cannot be read: " + reason(err))
	case len(value) == 0:
		err = errors.New("its file is empty")
	case len(value) > maxSecret:
		err = fmt.Errorf("its file is larger than %d KiB", maxSecret>>10)
	case bytes.Equal(value, l.value):
		l.said = ""
		return
	default:
		l.value, l.said = value, ""
		l.tell(l.key, nil)
		return
	}
	if l.said != err.Error() {
		l.said = err.Error()
		l.tell(l.key, err)
	}
}
