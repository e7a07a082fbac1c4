//go:build unix

package render

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"golang.org/x/sys/unix"
)

const (
	childProcs = 2
	childStack = 64 << 20 // bytes of one goroutine's stack; deeper recursion is fatal
	watchEvery = 10 * time.Millisecond
)

// confine gives up everything that building does not need. It cannot be undone.
func confine(l limits) error {
	runtime.GOMAXPROCS(childProcs)
	debug.SetMemoryLimit(l.Memory / 4 * 3)
	debug.SetMaxStack(childStack)
	debug.SetTraceback("none")
	for resource, value := range map[int]uint64{
		unix.RLIMIT_CPU:    uint64(max(l.CPU/time.Second, 1)),
		unix.RLIMIT_CORE:   0,
		unix.RLIMIT_FSIZE:  0,
		unix.RLIMIT_NOFILE: 16,
	} {
		if err := lower(resource, value); err != nil {
			return err
		}
	}
	go watchMemory(uint64(l.Memory))
	return confineSystem(l)
}

// lower sets a limit for good, unless it is lower already.
func lower(resource int, value uint64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err != nil {
		return fmt.Errorf("read limit %d: %w", resource, err)
	}
	assign(&now.Max, min(value, uint64(now.Max)))
	now.Cur = now.Max
	if err := unix.Setrlimit(resource, &now); err != nil {
		return fmt.Errorf("set limit %d: %w", resource, err)
	}
	return nil
}

// assign exists because systems differ in the type of a limit.
func assign[T int64 | uint64](to *T, value uint64) { *to = T(value) }

// watchMemory ends the process when the Go heap and stacks outgrow the limit.
func watchMemory(limit uint64) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	for range time.Tick(watchEvery) {
		metrics.Read(samples)
		if samples[0].Value.Uint64()-samples[1].Value.Uint64() > limit {
			os.Exit(exitMemory)
		}
	}
}
