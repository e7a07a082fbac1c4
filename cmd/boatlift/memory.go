package main

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"
)

// givesBack returns memory to the system that is not needed any more: soon after the start, which needs most, once more when the start
// is over on a busy machine too, and then now and then. That is garbage, and the parts of the program itself that ran some time ago. The
// system has those in its own copy of the file, and maps them again within microseconds where they are needed; until then they count as the
// bot's. An idle bot is a third smaller for it.
func givesBack(ctx context.Context, log *slog.Logger) {
	const soon, later, between = 2 * time.Second, 10 * time.Second, 10 * time.Minute
	timer, next := time.NewTimer(soon), later
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		debug.FreeOSMemory()
		if err := dropProgram(); err != nil {
			log.Debug("memory could not be given back", "error", err)
			return // nor will it be the next time
		}
		timer.Reset(next)
		next = between
	}
}
