package config

import (
	"os"
	"testing"
)

func TestDataDir(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"said", "dataDir: /var/lib/boatlift\n", "/var/lib/boatlift"},
		{"relative", "dataDir: state\n", "state"},
		{"among what is wrong", "listen: 1\ndataDir: state\nfoo: [bar]\nregistries: [{secret: hunter2}]\n", "state"},
		{"not said", "listen: :8080\n", ""},
		{"nothing", "", ""},
		{"empty", "dataDir:\n", ""},
		{"a list", "dataDir: [a]\n", ""},
		{"a number", "dataDir: 5\n", ""},
		{"no map", "- dataDir: state\n", ""},
		{"no YAML", "dataDir: \"state\n", ""},
		{"no text", "\xff", ""},
	} {
		if got := DataDir([]byte(c.text)); got != c.want {
			t.Errorf("%s: DataDir = %q, want %q", c.name, got, c.want)
		}
	}
}

// TestDataDirAndDatabase has where the data lies in the end.
func TestDataDirAndDatabase(t *testing.T) {
	for _, c := range []struct{ name, text, variable, dir, database string }{
		{"defaults", "", "", DefaultDataDir, "sqlite:boatlift-data/boatlift.db"},
		{"the variable", "", "/data", "/data", "sqlite:/data/boatlift.db"},
		{"the file", "dataDir: /var/lib/boatlift", "", "/var/lib/boatlift", "sqlite:/var/lib/boatlift/boatlift.db"},
		{"both", "dataDir: /var/lib/boatlift", "/data", "/data", "sqlite:/data/boatlift.db"},
		{"a relative folder", "dataDir: state", "", "state", "sqlite:state/boatlift.db"},
		{"a relative database", "database: sqlite:./db/b.sqlite", "", DefaultDataDir, "sqlite:boatlift-data/db/b.sqlite"},
		{"an absolute database", "database: sqlite:/db/b.sqlite", "/data", "/data", "sqlite:/db/b.sqlite"},
	} {
		env := environ(t)
		env.Getenv = func(name string) (string, bool) { return c.variable, name == "BOATLIFT_DATA" }
		bot, err := ParseBot("f", []byte("log: {}\n"+c.text), env)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if bot.DataDir != c.dir || bot.Database != c.database {
			t.Errorf("%s: %s and %s, want %s and %s", c.name, bot.DataDir, bot.Database, c.dir, c.database)
		}
	}
}

// TestNothingToLookAt reads files without any environment, and one whose policies cannot be described.
func TestNothingToLookAt(t *testing.T) {
	text, err := os.ReadFile("testdata/bot/good/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = ParseBot("f", text, Environ{})
	const want = `f:2:60: the file of privateKey cannot be read: files cannot be read here (name a file that the bot may read; a relative path begins at the folder of this file)
f:2:89: the environment variable WEBHOOK_SECRET is not set (set it where the bot is started)
f:4:24: type has no such value (no type is known here)
f:4:46: the environment variable REGISTRY_SECRET is not set (set it where the bot is started)`
	if err == nil || err.Error() != want {
		t.Errorf("ParseBot =\n%v\nwant\n%s", err, want)
	}
}
