package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/boatlift/boatlift/internal/kustomize"
)

func newSet() *cobra.Command {
	cmd := &cobra.Command{
		Use: "set", Short: "Change fields of a kustomization", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSetImage())
	return cmd
}

func newSetImage() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "image FILE NAME=REF…",
		Short: "Set images in a kustomization, changing only the bytes that must change",
		Long: `Set images in a kustomization file, as kustomize edit set image does, but without touching
any other byte: comments, quotes, order, indentation and line endings stay.

REF is :tag, @sha256:…, :tag@sha256:…, or newname:tag (with or without a digest).
A new tag drops an old digest, and the reverse; * keeps what is there: NAME=*:TAG@*.
What cannot be edited without guessing is refused with file, line and reason, and the
file is left as it is.`,
		Example: `  boatlift set image kustomization.yaml web=:1.4.2
  boatlift set image --dry-run overlays/production/kustomization.yaml web=registry.acme.io/shop/web:1.4.2`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return setImage(cmd, args[0], args[1:], dryRun) },
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would change as a diff, and write nothing")
	return cmd
}

func setImage(cmd *cobra.Command, file string, assignments []string, dryRun bool) error {
	info, err := os.Lstat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return noFile(file, "name a kustomization file, or a directory with one")
	case err != nil:
		return err
	case info.IsDir():
		return setImageIn(cmd, file, assignments, dryRun)
	case !info.Mode().IsRegular():
		return &fileError{file, "it is not a plain file", "name the file itself, not a link to it"}
	}
	if err := alone(file); err != nil {
		return err
	}
	before, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	after, report, err := kustomize.SetImage(file, before, assignments)
	if err != nil {
		return err
	}
	for _, w := range report.Warnings {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s:%d: note: %s\n", file, w.Line, w.Text)
	}
	if !report.Changed {
		if !dryRun {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: nothing to change\n", file)
		}
		return nil
	}
	if dryRun {
		_, err := fmt.Fprint(cmd.OutOrStdout(), kustomize.Diff(file, before, after))
		return err
	}
	return replace(file, after, info.Mode().Perm())
}

// setImageIn takes a directory for the kustomization in it.
func setImageIn(cmd *cobra.Command, dir string, assignments []string, dryRun bool) error {
	name, err := kustomizationIn(dir)
	if err != nil {
		return err
	}
	if name == "" {
		return &fileError{dir, "it has no kustomization file", "name a directory with a kustomization.yaml, or the file itself"}
	}
	return setImage(cmd, filepath.Join(dir, name), assignments, dryRun)
}

func kustomizationIn(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	name, err := kustomize.FileIn(names)
	if err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	return name, nil
}

// alone refuses a kustomization that has another one beside it: kustomize would build neither.
func alone(file string) error {
	if !kustomize.IsKustomization(filepath.Base(file)) {
		return nil
	}
	_, err := kustomizationIn(filepath.Dir(file))
	return err
}

// replace puts new content in a file's place in one step, with the old mode.
func replace(file string, content []byte, mode fs.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(file), ".boatlift-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	_, err = temp.Write(content)
	err = errors.Join(err, temp.Chmod(mode), temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", file, err), os.Remove(temp.Name()))
	}
	return nil
}

// fileError is a file that is not what it should be.
type fileError struct{ file, what, fix string }

func (e *fileError) Error() string { return e.file + ": " + e.what }
func (e *fileError) Hint() string  { return e.fix }

func noFile(file, fix string) error { return &fileError{file, "there is no such file", fix} }
