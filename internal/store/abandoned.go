package store

import "context"

// takeOver ends the leases that an earlier process left behind. Only an engine that one process has for itself may do so: there, a lease
// that is found at the start has nobody any more, and waiting for its end would only keep its repo from being worked on. It counts as a
// failed turn, so that a repo whose turns kill the process is shown as stuck.
func (s *Store) takeOver(ctx context.Context) error {
	return s.write(ctx, "end the leases of an earlier process", func(ctx context.Context, q *conn) error {
		_, err := q.exec(ctx, `UPDATE work SET owner = '', lease_until = 0, token = token + 1, attempts = attempts + 1,
			last_error = 'the bot ended in the middle of a turn', due_at = {now} WHERE lease_until > 0`)
		return err
	})
}
