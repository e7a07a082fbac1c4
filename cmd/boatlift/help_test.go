package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
)

// TestHelp holds the help of every command to testdata/help, and to what all of it should be like.
func TestHelp(t *testing.T) {
	t.Parallel()
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		path := strings.Fields(cmd.CommandPath())
		t.Run(strings.Join(path, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), append(path[1:], "--help"), strings.NewReader(""), &stdout, &stderr); code != exitDone || stderr.Len() > 0 {
				t.Fatalf("%d: %s", code, &stderr)
			}
			golden(t, filepath.Join("testdata", "help", strings.Join(path, "-")+".txt"), stdout.String())
			checkHelp(t, cmd, stdout.String())
		})
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}))
}

func checkHelp(t *testing.T, cmd *cobra.Command, help string) {
	t.Helper()
	if first := []rune(cmd.Short + " ")[0]; !unicode.IsUpper(first) || strings.HasSuffix(cmd.Short, ".") {
		t.Errorf("the short text %q should start with a capital and end without a full stop", cmd.Short)
	}
	if cmd.Long != "" && !strings.HasSuffix(cmd.Long, ".") && !strings.HasSuffix(cmd.Long, exitCodes) {
		t.Errorf("the long text should end with a full stop: %q", cmd.Long)
	}
	for _, line := range strings.Split(help, "\n") {
		if strings.HasSuffix(line, " ") && strings.TrimSpace(line) != "" && !strings.HasPrefix(strings.TrimSpace(line), "-") {
			t.Errorf("white space at the end of %q", line)
		}
		words := strings.Fields(line)
		for i := 1; i < len(words); i++ {
			if words[i] == words[i-1] {
				t.Errorf("%q stands twice in %q", words[i], line)
			}
		}
	}
	for _, example := range strings.Split(cmd.Example, "\n") {
		words := strings.Fields(example)
		if len(words) == 0 {
			continue
		}
		found, rest, err := newRoot(nil, nil, nil).Find(words[1:])
		if words[0] != "boatlift" || err != nil || found.CommandPath() != cmd.CommandPath() {
			t.Errorf("the example %q is not one of %s: %v", example, cmd.CommandPath(), err)
			continue
		}
		err = found.ParseFlags(rest)
		if err := errors.Join(err, found.ValidateArgs(found.Flags().Args()), found.ValidateRequiredFlags(), found.ValidateFlagGroups()); err != nil {
			t.Errorf("the example %q is wrong: %v", example, err)
		}
	}
}

// TestNamedCommandsExist looks at every text in which the program tells people to call it.
func TestNamedCommandsExist(t *testing.T) {
	t.Parallel()
	texts := map[string]string{}
	for _, args := range [][]string{{"schema", "repo"}, {"schema", "bot"}, {"policy", "explain"}} {
		var stdout bytes.Buffer
		if code := run(t.Context(), args, strings.NewReader(""), &stdout, &stdout); code != exitDone {
			t.Fatalf("boatlift %v: %d\n%s", args, code, &stdout)
		}
		texts[strings.Join(args, " ")] = stdout.String()
	}
	sources, err := filepath.Glob("../../internal/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range sources {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	// In quotes, in back quotes, and where a hint goes on.
	said := regexp.MustCompile("\"boatlift ([a-z]+)( [a-z]+)?|`boatlift ([a-z]+)( [a-z]+)?`|[;(] ?boatlift ([a-z]+)( [a-z]+)? |\\. boatlift ([a-z]+)( [a-z]+)? ")
	for where, text := range texts {
		for _, m := range said.FindAllStringSubmatch(text, -1) {
			words := strings.Fields(strings.Join(m[1:], " "))
			if words[0] == "marker" {
				continue // the name of what signs pull requests
			}
			root := newRoot(nil, nil, nil)
			found, rest, err := root.Find(words)
			if err != nil || found == root || found.HasSubCommands() && len(rest) > 0 {
				t.Errorf("%s names boatlift %s, which is no command", where, strings.Join(words, " "))
			}
		}
	}
}

// TestExitCodesAreDescribed holds the help to the program.
func TestExitCodesAreDescribed(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		fmt.Sprintf("%d  done", exitDone), fmt.Sprintf("%d  it did not work", exitFailed), fmt.Sprintf("%d  the command line", exitUsage),
		fmt.Sprintf("%d  boatlift.yaml", exitConfig), fmt.Sprintf("%d  the running bot", exitNoBot),
	} {
		if !strings.Contains(newRoot(nil, nil, nil).Long, line) {
			t.Errorf("the help does not say %q", line)
		}
	}
}
