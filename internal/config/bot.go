package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// DefaultDataDir is where the bot keeps its data when nothing else is said: below the folder in which it is started.
const DefaultDataDir = "boatlift-data"

// dataDirVariable overrides dataDir, for the bot and for the commands that talk to it.
const dataDirVariable = "BOATLIFT_DATA"

const (
	defaultListen   = "127.0.0.1:8080"
	defaultDatabase = "sqlite:boatlift.db"
	maxWorkers      = 64
	minPoll         = time.Second
	maxPoll         = 24 * time.Hour

	// What GitHub documents for content that is made: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
	defaultPerMinute = 80
	defaultPerHour   = 500
	minWrites        = 10 // a pull request takes three, and some are kept for gates
	maxWrites        = 100_000
)

// Environ is what the bot's file may look at besides itself.
type Environ struct {
	Getenv        func(name string) (string, bool)  // nil: nothing is set
	ReadFile      func(name string) ([]byte, error) // reads the file of a secret; a relative name begins at the folder of the bot's file. nil: there are none
	RegistryTypes []string                          // what a registry's type may be
	HelperFits    func(helper, host string) bool    // whether a credential helper is for a registry's host; nil: it is not checked
	NoSecret      []string                          // types of which some prove themselves without a secret of ours
	OwnHost       []string                          // types that have one host only
	Policies      PolicyChecker                     // checks require.policies; nil: those that ship with the bot are known
	Now           func() time.Time                  // nil: time.Now
	// Renewed is told, by the key in the file, of a secret whose file was changed while it is in use; with an error where what is in the
	// file now cannot be used, and the last one is used on. It is called by whoever uses the secret; nil: nobody is told.
	Renewed func(key string, err error)
	// PoliciesIn reads the folder of policyDir, whose name is as the file has it, besides the policies that ship with the bot. A policy of it that
	// is wrong is no error, as it denies by itself. nil: Policies.
	PoliciesIn func(dir string) (PolicyChecker, error)
}

func (e Environ) now() time.Time {
	if e.Now == nil {
		return time.Now()
	}
	return e.Now()
}

func (e Environ) renewed(key string, err error) {
	if e.Renewed != nil {
		e.Renewed(key, err)
	}
}

func (e Environ) getenv(name string) (string, bool) {
	if e.Getenv == nil {
		return "", false
	}
	return e.Getenv(name)
}

func (e Environ) readFile(name string) ([]byte, error) {
	if e.ReadFile == nil {
		return nil, fmt.Errorf("files cannot be read here")
	}
	return e.ReadFile(name)
}

// hasHost tells whether a type needs no host to be known.
func (e Environ) hasHost(kind string) bool { return slices.Contains(e.OwnHost, kind) }

// Bot is a checked boatlift.yaml, with the secrets read and the defaults filled in.
type Bot struct {
	Listen     string // host:port
	PublicURL  string // without a slash at the end; may be empty
	Database   string // sqlite: and a path that holds wherever DataDir holds; empty where Postgres is set
	Postgres   Secret // the URL of a PostgreSQL database
	DataDir    string
	Registries []Registry
	Forges     []Forge
	Require    Require
	PolicyDir  string        // as the file has it; empty: only the policies that ship with the bot
	Poll       time.Duration // 0: the default of package reconcile
	Workers    int           // 0: the default of package reconcile
	Log        Log
	Tokens     []Token
	Pipelines  []Pipeline
	Limits     Limits
}

// Limits are how many writes each installation may do at its forge; 0 is no limit.
type Limits struct{ WritesPerMinute, WritesPerHour int }

// Token lets a program or a person in over the network.
type Token struct {
	Name  string // who it is, for the audit
	Role  string // read, operate, override or push
	Token Secret
	Push  []image.Pattern // with role push: the images of which it may tell
	// Certify is what it may certify, and where; nothing where it is empty, whatever the role.
	Certify []promotion.Certify
}

// Log says what is logged, and how.
type Log struct {
	Level  string // debug, info, warn or error
	Format string // text or json
}

// ParseBot reads the bot's boatlift.yaml. The error is an *Errors with all problems; file is the name that they carry. No problem
// repeats a value of the file, as it may be a secret in the wrong place.
func ParseBot(file string, text []byte, env Environ) (Bot, error) {
	found := &problems{file: file}
	root := parse(text, found)
	if len(found.all) > 0 {
		return Bot{}, found.err()
	}
	if root == nil || root.kind == nothing {
		found.add(place{1, 1}, "the file says nothing", "write "+botExample)
		return Bot{}, found.err()
	}
	var shape botFile
	decode(root, &shape, botExample, found, true)
	b := botCheck{problems: found, env: env}
	bot := b.bot(shape)
	if err := found.err(); err != nil {
		return Bot{}, err
	}
	return bot, nil
}

const botExample = "at least forges: and registries:, which boatlift schema bot describes"

// DataDir is dataDir of a boatlift.yaml, read without its secrets and whatever else is wrong with it; empty if it says none.
func DataDir(text []byte) string { return textOf(text, "dataDir") }

// PolicyDir is policyDir of a boatlift.yaml, read as DataDir is.
func PolicyDir(text []byte) string { return textOf(text, "policyDir") }

func textOf(text []byte, key string) string {
	root := parse(text, &problems{})
	if root == nil {
		return ""
	}
	dir, ok := root.get(key)
	if !ok || dir.kind != scalarText {
		return ""
	}
	return dir.value.(string)
}

// botCheck makes a Bot of the shape of a file, and notes what cannot be.
type botCheck struct {
	*problems
	env Environ
}

func (b *botCheck) bot(file botFile) Bot {
	bot := Bot{
		Listen:    b.listen(file.Listen),
		PublicURL: strings.TrimRight(b.address(file.PublicURL, "publicURL", true), "/"),
		DataDir:   b.dataDir(file.DataDir),
		Poll:      file.Poll.value,
		Workers:   int(file.Workers.value),
		Log:       Log{Level: "info", Format: "text"},
	}
	bot.Database, bot.Postgres = b.database(file.Database, bot.DataDir)
	if file.Poll.set && (bot.Poll < minPoll || bot.Poll > maxPoll) {
		b.add(file.Poll, "poll must be between a second and a day", "write poll: 10m")
	}
	if file.Workers.set && (file.Workers.value < 1 || file.Workers.value > maxWorkers) {
		b.add(file.Workers, fmt.Sprintf("workers must be between 1 and %d", maxWorkers), "write workers: 4")
	}
	if file.Log != nil {
		bot.Log = Log{Level: file.Log.Level.or("info"), Format: file.Log.Format.or("text")}
	}
	bot.PolicyDir = b.policyDir(file.PolicyDir)
	bot.Limits = b.limits(file.Limits)
	if file.Require != nil {
		bot.Require = b.requirements(*file.Require)
	}
	for _, f := range file.Forges {
		bot.Forges = append(bot.Forges, b.forge(f))
	}
	for _, r := range file.Registries {
		bot.Registries = append(bot.Registries, b.registry(r, file.Forges))
	}
	bot.Tokens = b.tokens(file.Tokens)
	bot.Pipelines = b.pipelines(file.Pipelines, bot.PublicURL)
	b.names(file)
	b.hosts(file)
	return bot
}

func (b *botCheck) limits(e *limitsEntry) Limits {
	out := Limits{defaultPerMinute, defaultPerHour}
	if e == nil {
		return out
	}
	for _, l := range []struct {
		key  string
		n    number
		into *int
	}{{"writesPerMinute", e.WritesPerMinute, &out.WritesPerMinute}, {"writesPerHour", e.WritesPerHour, &out.WritesPerHour}} {
		switch {
		case !l.n.set:
		case l.n.value != 0 && (l.n.value < minWrites || l.n.value > maxWrites):
			b.add(l.n, fmt.Sprintf("%s must be between %d and %d, or 0 for no limit", l.key, minWrites, maxWrites), fmt.Sprintf("write %s: %d", l.key, *l.into))
		default:
			*l.into = int(l.n.value)
		}
	}
	return out
}

func (b *botCheck) listen(t text) string {
	if !t.set {
		return defaultListen
	}
	_, port, err := net.SplitHostPort(t.value)
	if n, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil || n > 65535 {
		b.add(t, "listen is no address with a port", "write listen: 127.0.0.1:8080, or listen: :8080 for all interfaces")
	}
	return t.value
}

// address checks a URL. Plain http goes only where nothing secret goes, and to this machine.
func (b *botCheck) address(t text, key string, plain bool) string {
	if !t.set {
		return ""
	}
	right := "write " + key + ": https://HOST"
	u, err := url.Parse(t.value)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		b.add(t, key+" is no URL", right)
	case u.User != nil:
		b.add(t, key+" must not hold credentials", right)
	case u.RawQuery != "" || u.Fragment != "":
		b.add(t, key+" must end with its path, without ? and #", right)
	case u.Scheme == "http" && !plain && !loopback(u.Hostname()):
		b.add(t, key+" must begin with https, as tokens go there", right)
	}
	return t.value
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (b *botCheck) dataDir(t text) string {
	if strings.HasPrefix(t.value, "~") {
		b.add(t, "~ means nothing here", "write the whole path, as dataDir: /var/lib/boatlift")
	}
	if dir, ok := b.env.getenv(dataDirVariable); ok && dir != "" {
		return dir
	}
	return t.or(DefaultDataDir)
}

// database is the URL that package store opens: in file where it is SQLite, in secret where it is PostgreSQL, as its URL may hold a
// password. A relative file lies in the data directory.
func (b *botCheck) database(t text, dataDir string) (file string, secret Secret) {
	const right = "write database: sqlite:boatlift.db, a file in dataDir, or leave it out; or env:NAME, a variable that holds postgres://…"
	scheme, name, _ := strings.Cut(t.or(defaultDatabase), ":")
	switch {
	case scheme == "env" || scheme == "file":
		secret = b.secret(secretSource{place: t.place, set: true, kind: scheme, name: name}, "database")
		if !secret.IsZero() && !isPostgres(string(secret.Reveal())) {
			b.add(t, "what database names is no URL of PostgreSQL", "let it hold postgres://USER:PASSWORD@HOST/DATABASE")
		}
		return "", secret
	case scheme == "postgres" || scheme == "postgresql":
		u, err := url.Parse(t.value)
		if err != nil || u.Host == "" {
			b.add(t, "the database is no URL of PostgreSQL", "write postgres://HOST/DATABASE")
		} else if _, has := u.User.Password(); has || u.Query().Has("password") {
			b.add(t, "the database's password must not stand in the file itself", "write database: env:NAME, and let the variable hold the whole URL")
		}
		return "", NewSecret([]byte(t.value))
	case scheme != "sqlite":
		b.add(t, "the database must be sqlite: and a file, or PostgreSQL", right)
	case name == "" || strings.HasPrefix(name, "//") || !printable(name):
		b.add(t, "the database has no file after sqlite:", right)
	case strings.HasPrefix(name, ":"):
		b.add(t, "a database in memory would forget everything when the bot stops", right)
	case !filepath.IsAbs(name):
		name = filepath.Join(dataDir, name)
	}
	return "sqlite:" + name, Secret{}
}

func isPostgres(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql")
}

var entryPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// reserved are words by which the database means something else.
func reserved(name string) bool {
	return slices.Contains([]string{"discover", "sweep", "poll", "sync"}, name)
}

// names checks that every path below /hooks is one sender's.
func (b *botCheck) names(file botFile) {
	first := map[string]int{}
	for _, name := range append(entryNames(file.Forges), registryNames(file.Registries)...) {
		if !name.set {
			continue
		}
		line, twice := first[name.value]
		switch {
		case len(name.value) > maxName || !entryPattern.MatchString(name.value):
			b.add(name, "the name cannot be part of /hooks/NAME", "write at most 63 small letters, digits, and - between them")
		case reserved(name.value):
			b.add(name, "the name "+name.value+" is reserved", "choose another")
		case twice:
			b.add(name, fmt.Sprintf("the name is taken, in line %d", line), "give each registry and forge its own name: webhooks come in at /hooks/NAME")
		default:
			first[name.value] = name.line
		}
	}
}

func entryNames(forges []forgeEntry) []text {
	names := make([]text, len(forges))
	for i, f := range forges {
		names[i] = f.Name
	}
	return names
}

func registryNames(registries []registryEntry) []text {
	names := make([]text, len(registries))
	for i, r := range registries {
		names[i] = r.Name
	}
	return names
}

// policyDir reads the organisation's own policies, for the uses that are checked after it.
func (b *botCheck) policyDir(t text) string {
	if !t.set || b.env.PoliciesIn == nil {
		return t.value
	}
	checker, err := b.env.PoliciesIn(t.value)
	if err != nil {
		b.add(t, err.Error(), "write the folder that holds them, as policyDir: policies, from the folder of this file")
		return t.value
	}
	b.env.Policies = checker
	return t.value
}

func (b *botCheck) requirements(r requireEntry) Require {
	out := Require{Merge: promotion.MergeMode(r.Merge.value), Rollout: r.Rollout.value, Pin: promotion.Pin(r.Pin.value)}
	if len(r.Policies) == 0 {
		return out
	}
	checker := b.env.Policies
	if checker == nil {
		engine, err := gate.New()
		if err != nil {
			b.add(r.Policies[0], "the policies that ship with the bot cannot be read: "+err.Error(), "report this")
			return out
		}
		checker = engine
	}
	out.Policies = b.uses(r.Policies, checker)
	for _, use := range r.Policies {
		if use.set && needsAfter(checker, use.use) {
			b.add(use, "the policy "+use.use.Policy+" cannot be required of every environment, as it denies in those that come after none", "write it in the repositories whose environments have after:")
		}
	}
	return out
}
