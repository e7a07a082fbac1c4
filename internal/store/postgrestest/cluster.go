// Package postgrestest gives tests a PostgreSQL of their own, made of initdb and pg_ctl where a machine has them.
//
// The tests' own program is also the process that keeps a cluster: Main has to be called first in TestMain. The keeper ends the cluster and
// removes its files when its standard input ends, so that nothing is left however the tests end. A cluster listens on a socket only.
//
// BOATLIFT_TEST_POSTGRES says which PostgreSQL is used: nothing, one that is started here, if its programs are there, else the tests that
// need one are skipped and say why; required, the same, and it is an error if they are not; off, none; postgres://…, that one, as a user who
// may create databases. This package belongs in tests only, and in the sandbox's benchmark.
package postgrestest

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// postgresEnv says which PostgreSQL the tests use.
const postgresEnv = "BOATLIFT_TEST_POSTGRES"

// keeperEnv makes a process of the tests' program the keeper of a cluster; it has a line of the cluster's configuration.
const keeperEnv = "BOATLIFT_TEST_POSTGRES_KEEPER"

// Main makes this process the keeper of a cluster, and ends it, if it was started for that.
func Main() {
	if setting := os.Getenv(keeperEnv); setting != "" {
		os.Exit(keepCluster(setting))
	}
}

// Cluster is a PostgreSQL of the tests' own. Another process keeps it, which ends it when the tests end, however they do.
type Cluster struct {
	keeper  *exec.Cmd
	in      io.WriteCloser
	answers *bufio.Scanner
	dir     string // its files and socket
}

// errNoPostgres tells why there is no PostgreSQL to test with.
var errNoPostgres = errors.New("SKIPPED: no PostgreSQL to test with")

// startCluster starts one. Its files are flushed to the disk only where speed is measured.
func startCluster() (*Cluster, error) {
	if os.Getenv(postgresEnv) == "off" {
		return nil, fmt.Errorf("%w: %s is off", errNoPostgres, postgresEnv)
	}
	durable := "off"
	if f := flag.Lookup("test.bench"); f != nil && f.Value.String() != "" {
		durable = "on"
	}
	return start("fsync=" + durable)
}

// Start starts a cluster that flushes its files to the disk as one in service does, for the benchmark, which is no test. Whoever calls it
// has called Main, and calls stop at the end. The error tells where this machine has no PostgreSQL.
func Start() (c *Cluster, stop func(), err error) {
	if c, err = start("fsync=on"); err != nil {
		return nil, nil, err
	}
	return c, c.stop, nil
}

func start(setting string) (*Cluster, error) {
	c := &Cluster{keeper: exec.Command(os.Args[0])}
	c.keeper.Env = append(os.Environ(), keeperEnv+"="+setting)
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

// Do has the keeper start the server, or stop it in one of pg_ctl's modes.
func (c *Cluster) Do(what string) error {
	if _, err := fmt.Fprintln(c.in, what); err != nil {
		return err
	}
	_, err := c.answer()
	return err
}

func (c *Cluster) answer() (string, error) {
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

func (c *Cluster) stop() {
	_ = c.in.Close()
	_ = c.keeper.Wait() // nothing depends on how it ended
}

// URL leads to a database, as a user who may do everything.
func (c *Cluster) URL(database string) string {
	return "postgres:///" + database + "?host=" + c.dir + "&user=boatlift"
}

// Dir is where its files are, and its socket.
func (c *Cluster) Dir() string { return c.dir }

// keepCluster is the main function of the process that keeps a cluster: it says where it is, and does what it reads until that ends.
func keepCluster(setting string) int {
	signal.Ignore(os.Interrupt) // the tests' own end is what counts
	k, err := newKeeper(setting)
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
