package store

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	neturl "net/url"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
)

// postgresEnv says which PostgreSQL the tests use: nothing, one that they start themselves, if its programs are there; required, the
// same, and it is an error if they are not; off, none; postgres://…, that one, as a user who may create databases.
const postgresEnv = "BOATLIFT_TEST_POSTGRES"

// cluster is a PostgreSQL of the tests' own. Another process keeps it, which ends it when the tests end, however they do.
type cluster struct {
	keeper  *exec.Cmd
	in      io.WriteCloser
	answers *bufio.Scanner
	dir     string // its files and socket
}

// errNoPostgres tells why there is no PostgreSQL to test with.
var errNoPostgres = errors.New("SKIPPED: no PostgreSQL to test with")

// startCluster starts one. Its files are flushed to the disk only where speed is measured.
func startCluster() (*cluster, error) {
	if os.Getenv(postgresEnv) == "off" {
		return nil, fmt.Errorf("%w: %s is off", errNoPostgres, postgresEnv)
	}
	c := &cluster{keeper: exec.Command(os.Args[0])}
	durable := "off"
	if f := flag.Lookup("test.bench"); f != nil && f.Value.String() != "" {
		durable = "on"
	}
	c.keeper.Env = append(os.Environ(), childEnv+"=cluster", urlEnv+"=fsync="+durable)
	c.keeper.Stderr = os.Stderr
	var err error
	if c.in, err = c.keeper.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.keeper.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.answers = bufio.NewScanner(out)
	if err := c.keeper.Start(); err != nil {
		return nil, err
	}
	c.dir, err = c.answer()
	if err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// do has the keeper start the server, or stop it in one of pg_ctl's modes.
func (c *cluster) do(what string) error {
	if _, err := fmt.Fprintln(c.in, what); err != nil {
		return err
	}
	_, err := c.answer()
	return err
}

func (c *cluster) answer() (string, error) {
	if !c.answers.Scan() {
		return "", errors.New("the cluster's keeper has ended")
	}
	switch word, rest, _ := strings.Cut(c.answers.Text(), " "); word {
	case "ok":
		return rest, nil
	case "none":
		return "", fmt.Errorf("%w: %s", errNoPostgres, rest)
	default:
		return "", errors.New(rest)
	}
}

func (c *cluster) stop() {
	_ = c.in.Close()
	_ = c.keeper.Wait() // nothing depends on how it ended
}

// url leads to a database.
func (c *cluster) url(database string) string { return socketURL(c.dir, "boatlift", database) }

func socketURL(dir, user, database string) string {
	return "postgres:///" + database + "?host=" + dir + "&user=" + user
}

// keepCluster is the main function of the process that keeps a cluster: it says where it is, and does what it reads until that ends.
func keepCluster() int {
	signal.Ignore(os.Interrupt) // the tests' own end is what counts
	k, err := newKeeper(os.Getenv(urlEnv))
	switch {
	case errors.Is(err, errNoPostgres):
		fmt.Println("none", strings.TrimPrefix(err.Error(), errNoPostgres.Error()+": "))
		return 0
	case err != nil:
		fmt.Println("error", strings.ReplaceAll(err.Error(), "\n", " | "))
		return 1
	}
	defer k.end()
	fmt.Println("ok", k.dir)
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		var err error
		switch what := commands.Text(); what {
		case "start":
			err = k.start()
		default:
			err = k.run("pg_ctl", "-D", k.data(), "-w", "-m", what, "stop")
		}
		if err != nil {
			fmt.Println("error", strings.ReplaceAll(err.Error(), "\n", " | "))
		} else {
			fmt.Println("ok")
		}
	}
	return 0
}

// keeper has the programs of a PostgreSQL, and a folder for it.
type keeper struct {
	dir      string
	programs string
	uid, gid int // whose process the server is; -1: of the user of the tests
}

func newKeeper(setting string) (*keeper, error) {
	k := &keeper{uid: -1}
	var err error
	if runtime.GOOS == "windows" {
		return nil, fmt.Errorf("%w: they start one on Unix only; set %s to the URL of one", errNoPostgres, postgresEnv)
	}
	if k.programs, err = postgresPrograms(); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 { // the server refuses to be root's
		if k.uid, k.gid, err = unprivileged(); err != nil {
			return nil, err
		}
	}
	if k.dir, err = os.MkdirTemp("", "pg"); err != nil { // short: the path of a socket may be 107 bytes long
		return nil, err
	}
	err = os.Chmod(k.dir, 0o755)
	if err == nil && k.uid >= 0 {
		err = os.Chown(k.dir, k.uid, k.gid)
	}
	if err == nil {
		err = k.run("initdb", "-D", k.data(), "-U", "boatlift", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	}
	if err == nil {
		err = k.extend("postgresql.conf", setting,
			"listen_addresses=''", "unix_socket_directories='"+k.dir+"'", "unix_socket_permissions=0777", "max_connections=200", "log_min_messages=fatal")
	}
	if err == nil {
		err = k.before("pg_hba.conf", "local all guarded scram-sha-256")
	}
	if err == nil {
		err = k.start()
	}
	if err != nil {
		k.end()
		return nil, err
	}
	return k, nil
}

func (k *keeper) data() string { return filepath.Join(k.dir, "data") }

func (k *keeper) start() error {
	return k.run("pg_ctl", "-D", k.data(), "-l", filepath.Join(k.dir, "log"), "-w", "-t", "60", "start")
}

func (k *keeper) end() {
	_ = k.run("pg_ctl", "-D", k.data(), "-w", "-m", "immediate", "stop") // it may not run
	_ = os.RemoveAll(k.dir)
}

func (k *keeper) run(program string, args ...string) error {
	cmd := exec.Command(filepath.Join(k.programs, program), args...)
	cmd.Dir = k.dir
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "PG") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	if k.uid >= 0 {
		runAs(cmd, k.uid, k.gid)
	}
	said, err := os.CreateTemp("", "pg") // not a pipe: the server would keep that open
	if err != nil {
		return err
	}
	defer os.Remove(said.Name())
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(said.Name())
		log, _ := os.ReadFile(filepath.Join(k.dir, "log"))
		return fmt.Errorf("%s: %w\n%s%s", program, err, text, log)
	}
	return nil
}

func (k *keeper) extend(name string, lines ...string) error {
	f, err := os.OpenFile(filepath.Join(k.data(), name), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, strings.Join(lines, "\n"))
	return errors.Join(err, f.Close())
}

func (k *keeper) before(name, line string) error {
	path := filepath.Join(k.data(), name)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append([]byte(line+"\n"), text...), 0o600)
}

// postgresPrograms finds the folder of the server's programs, of which Debian has only some in the PATH.
func postgresPrograms() (dir string, err error) {
	folders := filepath.SplitList(os.Getenv("PATH"))
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin"} {
		found, _ := filepath.Glob(pattern) // its only error is a bad pattern
		for i := range found {
			folders = append(folders, found[len(found)-1-i]) // the newest version first
		}
	}
	for _, folder := range folders {
		_, initdb := exec.LookPath(filepath.Join(folder, "initdb"))
		_, ctl := exec.LookPath(filepath.Join(folder, "pg_ctl"))
		if initdb == nil && ctl == nil {
			return folder, nil
		}
	}
	return "", fmt.Errorf("%w: initdb and pg_ctl are neither in the PATH nor where packages put them", errNoPostgres)
}

// unprivileged is whom the server is to be run as when the tests are root's.
func unprivileged() (uid, gid int, err error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil {
			return 0, 0, err
		}
		gid, err := strconv.Atoi(u.Gid)
		return uid, gid, err
	}
	return 0, 0, fmt.Errorf("%w: the tests are root's, the server may not be, and there is neither postgres nor nobody", errNoPostgres)
}

// shared is the PostgreSQL that all tests of this process use, with a database that has the schema.
type shared struct {
	once  sync.Once
	own   *cluster
	admin *sql.DB
	url   func(database string) string
	err   error
	last  atomic.Int64 // number of the newest database
}

// ownCluster begins with the first test that needs it and ends with the process.
var ownCluster shared

func (c *shared) begin() {
	c.once.Do(func() {
		where := os.Getenv(postgresEnv)
		if strings.HasPrefix(where, "postgres") {
			server, err := neturl.Parse(where)
			if c.err = err; err != nil {
				return
			}
			c.url = func(database string) string {
				u := *server
				u.Path = "/" + database
				return u.String()
			}
		} else if c.own, c.err = startCluster(); c.err != nil {
			if errors.Is(c.err, errNoPostgres) && where != "required" {
				fmt.Fprintln(os.Stderr, c.err)
			}
			return
		} else {
			c.url = c.own.url
		}
		if c.admin, c.err = sql.Open("pgx", c.url("postgres")); c.err != nil {
			return
		}
		ctx := context.Background()
		if _, c.err = c.admin.ExecContext(ctx, `CREATE DATABASE `+template()+` ENCODING 'UTF8' TEMPLATE template0`); c.err != nil {
			return
		}
		var s *Store
		if s, c.err = Open(ctx, c.url(template()), Options{}); c.err == nil {
			c.err = s.Close()
		}
	})
}

// template is the name of the database that has the schema.
func template() string { return fmt.Sprintf("boatlift_template_%d", os.Getpid()) }

func (c *shared) stop() {
	if c.admin != nil {
		_, _ = c.admin.Exec(`DROP DATABASE IF EXISTS ` + template())
		_ = c.admin.Close()
	}
	if c.own != nil {
		c.own.stop()
	}
}

// newDatabase makes a database with the schema and returns its URL.
func newDatabase(tb testing.TB) string {
	tb.Helper()
	ownCluster.begin()
	if errors.Is(ownCluster.err, errNoPostgres) && os.Getenv(postgresEnv) != "required" {
		tb.Skip(ownCluster.err)
	}
	if ownCluster.err != nil {
		tb.Fatal(ownCluster.err)
	}
	name := fmt.Sprintf("boatlift_%d_%d", os.Getpid(), ownCluster.last.Add(1))
	if _, err := ownCluster.admin.ExecContext(tb.Context(), `CREATE DATABASE `+name+` TEMPLATE `+template()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if _, err := ownCluster.admin.ExecContext(context.Background(), `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			tb.Error(err)
		}
	})
	return ownCluster.url(name)
}

// newCluster starts a cluster for one test, which may stop it.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c, err := startCluster()
	if errors.Is(err, errNoPostgres) && os.Getenv(postgresEnv) != "required" {
		t.Skip(err)
	}
	must(t, err)
	t.Cleanup(func() {
		c.stop()
		if _, err := os.Stat(c.dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the cluster left %s: %v", c.dir, err)
		}
	})
	return c
}
