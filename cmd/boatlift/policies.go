package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/boatlift/boatlift/internal/config"
	"github.com/boatlift/boatlift/internal/gate"
)

// ownPolicies is the organisation's folder of policies on a command line.
type ownPolicies struct{ dir string }

func (o *ownPolicies) flag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.dir, "policies", "", "a folder with policies of your own (default: policyDir of the boatlift.yaml here, if there is one)")
}

// engine compiles the policies that ship with the bot and those of the folder. Those that are wrong are told of apart.
func (o *ownPolicies) engine() (*gate.Engine, []error, error) {
	dir := o.dir
	if dir == "" {
		text, err := os.ReadFile("boatlift.yaml")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
		dir = config.PolicyDir(text)
	}
	return loadPolicies(dir)
}

// loadPolicies compiles the policies that ship with the bot and those of a folder; an empty name is none.
func loadPolicies(dir string) (*gate.Engine, []error, error) {
	if dir == "" {
		engine, err := gate.New()
		return engine, nil, err
	}
	engine, problems, err := gate.Load(os.DirFS(dir))
	if err != nil {
		return nil, nil, &fileError{dir, "the folder of policies cannot be read: " + rootCause(err), "name a folder that holds policies"}
	}
	for i, problem := range problems {
		problems[i] = &policyError{filepath.Clean(dir), problem}
	}
	return engine, problems, nil
}

// rootCause is the innermost error, without the path that os.DirFS calls ".".
func rootCause(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// policyError is something wrong in a policy's file, with the folder of the file.
type policyError struct {
	dir string
	err error
}

func (e *policyError) Error() string {
	return filepath.Join(e.dir, "") + string(filepath.Separator) + e.err.Error()
}
func (e *policyError) Unwrap() error { return e.err }
func (e *policyError) Hint() string {
	return "correct it; until then everything that uses the policy is denied"
}

// beside is a path of a configuration file, which is from the folder of that file.
func beside(file, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

// policiesIn reads the folder of policyDir for the file that names it.
func policiesIn(file string) func(dir string) (config.PolicyChecker, error) {
	return func(dir string) (config.PolicyChecker, error) {
		engine, _, err := loadPolicies(beside(file, dir))
		if err != nil {
			var wrong *fileError
			if errors.As(err, &wrong) {
				return nil, errors.New(wrong.what)
			}
			return nil, fmt.Errorf("compile the policies: %w", err)
		}
		return engine, nil
	}
}
