package render

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"sync/atomic"
	"time"
)

// Source reads one commit's tree. Paths are relative to the repository's root, slash-separated, without "." and ".." elements.
// The methods are called one at a time and must return when ctx ends.
//
// ReadFile's error for a path that does not exist satisfies errors.Is(err, fs.ErrNotExist). An error with a method
// Permanent() bool that returns true (a symbolic link, a submodule, a file that is too large) becomes the reason that people see;
// of any other they learn only that the path could not be read.
type Source interface {
	ReadFile(ctx context.Context, path string) ([]byte, error)
	IsDir(ctx context.Context, path string) (bool, error)
}

// Options are the bounds of a render. The zero value of each field stands for its default.
type Options struct {
	// Command is the program and its arguments that run ChildMain; default: this program with ChildCommand.
	Command []string
	// Timeout is for one directory, reading its files from the Source included; default 20 s.
	Timeout time.Duration
	// MemoryBytes is what a child may use; default 256 MiB, at least 32 MiB.
	MemoryBytes int64
	// MaxOutput is the size of one build in bytes; default 16 MiB.
	MaxOutput int64
	// MaxFile is the size of one file that is read, in bytes; default 4 MiB.
	MaxFile int64
	// MaxInput is the size of all files that one directory needs, in bytes; default 32 MiB.
	MaxInput int64
	// MaxPaths is how many paths of the tree one directory may ask for; default 5000.
	MaxPaths int
	// MaxDiff is the size of one directory's diff in bytes; default 48 KiB, at least 4 KiB.
	MaxDiff int64
	// MaxLine is the length of one line of a diff in bytes; default 500, at least 80.
	MaxLine int
	// MaxConcurrent is how many children run at the same time; default the number of processors.
	MaxConcurrent int
}

const (
	maxLoads   = 2000     // kustomizations of one build, repetitions counted
	maxOverlay = 16 << 20 // bytes of paths and content
	maxDeaths  = 3        // children that one Compare may lose
)

func (o Options) withDefaults() Options {
	def := func(v *int64, d, least int64) {
		if *v <= 0 {
			*v = d
		}
		*v = max(*v, least)
	}
	defInt := func(v *int, d, least int) {
		if *v <= 0 {
			*v = d
		}
		*v = max(*v, least)
	}
	def((*int64)(&o.Timeout), int64(20*time.Second), 1)
	def(&o.MemoryBytes, 256<<20, 32<<20)
	def(&o.MaxOutput, 16<<20, 1)
	def(&o.MaxFile, 4<<20, 1)
	def(&o.MaxInput, 32<<20, 1)
	def(&o.MaxDiff, 48<<10, 4<<10)
	defInt(&o.MaxPaths, 5000, 1)
	defInt(&o.MaxLine, 500, 80)
	defInt(&o.MaxConcurrent, runtime.GOMAXPROCS(0), 1)
	return o
}

// Renderer builds directories of commits, each call in a child process of its own.
type Renderer struct {
	options Options
	slots   chan struct{}
	plain   atomic.Bool // the system does not let children have a namespace of their own
}

// New makes a Renderer. Nothing is started before the first build.
func New(opts Options) *Renderer {
	opts = opts.withDefaults()
	return &Renderer{options: opts, slots: make(chan struct{}, opts.MaxConcurrent)}
}

// Result holds one Directory for each that was asked for, in that order.
type Result struct{ Dirs []Directory }

// Directory is one directory's build before and after the edit.
type Directory struct {
	Dir string
	// Before and After are the builds as kustomize prints them, but with the values of Secrets masked. One is nil where that
	// build was refused or the directory does not exist on that side.
	Before, After []byte
	// Diff is the unified diff of both, a section for each resource that changed, headed by its kind, namespace and name. It is
	// empty where nothing changed or Err is set.
	Diff string
	// Cut reports that Diff, for its bounds, does not show all; it says so itself.
	Cut bool
	// Err is a *RefusedError where there is no diff, else nil.
	Err error
}

// Build returns what kustomize build prints for a directory, values of Secrets included. The overlay holds content by path that
// takes the place of the tree's; a nil value removes the file. The error is a *RefusedError for all that lies in the
// repository.
func (r *Renderer) Build(ctx context.Context, src Source, dir string, overlay map[string][]byte) ([]byte, error) {
	if err := checkOverlay(overlay); err != nil {
		return nil, err
	}
	j, err := newJob(dir, overlay, false)
	if err != nil {
		return nil, err
	}
	if err := r.acquire(ctx); err != nil {
		return nil, err
	}
	defer r.release()
	s, err := r.start(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	done, err := s.run(ctx, src, j)
	if err != nil {
		return nil, r.lost(ctx, s, dir, err)
	}
	if done.Before.Absent {
		return nil, &RefusedError{Dir: dir, Reason: "there is no such directory in this commit"}
	}
	if done.Before.Reason != "" {
		return nil, done.refused(dir, done.Before.Reason)
	}
	return done.before, nil
}

// Compare builds each directory as it is in the tree and again with the overlay on top, and shows the difference. A
// directory that only exists after (before) the edit is all new (gone). Its own error is nil unless ctx ended, the overlay's
// paths are wrong, or no child could be started.
func (r *Renderer) Compare(ctx context.Context, src Source, dirs []string, overlay map[string][]byte) (Result, error) {
	if err := checkOverlay(overlay); err != nil {
		return Result{}, err
	}
	result := Result{Dirs: make([]Directory, len(dirs))}
	if len(dirs) == 0 {
		return result, nil
	}
	if err := r.acquire(ctx); err != nil {
		return Result{}, err
	}
	defer r.release()

	var s *session
	defer func() {
		if s != nil {
			s.close()
		}
	}()
	deaths := 0
	for i, dir := range dirs {
		d := &result.Dirs[i]
		d.Dir = dir
		j, err := newJob(dir, overlay, true)
		if err != nil {
			d.Err = err
			continue
		}
		if deaths >= maxDeaths {
			d.Err = &RefusedError{Dir: dir, Reason: "not tried, after the builds of other directories broke down", transient: true}
			continue
		}
		if s == nil {
			if s, err = r.start(ctx); err != nil {
				return Result{}, err
			}
		}
		done, err := s.run(ctx, src, j)
		if err != nil {
			err = r.lost(ctx, s, dir, err)
			s = nil
			var refused *RefusedError
			if !errors.As(err, &refused) {
				return Result{}, err
			}
			d.Err = err
			deaths++
			continue
		}
		done.fill(d)
	}
	return result, nil
}

func (r *Renderer) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("render: %w", err)
	}
	select {
	case r.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for a render process: %w", ctx.Err())
	}
}

func (r *Renderer) release() { <-r.slots }

func (r *Renderer) command() ([]string, error) {
	if len(r.options.Command) > 0 {
		return r.options.Command, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return []string{self, ChildCommand}, nil
}

func (r *Renderer) limits() limits {
	o := r.options
	return limits{
		Memory:   o.MemoryBytes,
		CPU:      max(childProcs*o.Timeout.Round(time.Second), time.Second) * cpuDirs,
		FileSize: max(o.MaxFile, maxReason),
		JobSize:  maxJob,
		Output:   o.MaxOutput,
		Diff:     o.MaxDiff,
		Line:     o.MaxLine,
		Loads:    maxLoads,
	}
}

// checkOverlay finds mistakes of the caller.
func checkOverlay(overlay map[string][]byte) error {
	size := 0
	for p, b := range overlay {
		if !fs.ValidPath(p) || p == "." {
			return fmt.Errorf("render with an edit of %q: not a path of the repository", p)
		}
		size += len(p) + len(b)
	}
	if size > maxOverlay {
		return fmt.Errorf("render with an edit of %d bytes: at most %d are taken", size, maxOverlay)
	}
	return nil
}

func newJob(dir string, overlay map[string][]byte, compare bool) (job, error) {
	clean := path.Clean(dir) // "" becomes "."
	if !fs.ValidPath(clean) || len(clean) > maxPath {
		return job{}, &RefusedError{Dir: dir, Reason: "not a directory of the repository"}
	}
	return job{Dir: clean, Compare: compare, Overlay: overlay}, nil
}
