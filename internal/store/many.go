package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// many runs a text for any number of rows in as few statements as it can: a statement for each row costs a way to the database and back.
// row is what the text says for one row, with ? for each of its values; head and tail stand around all rows. The statements are of few
// sizes, so that each text is soon prepared.
func (q *conn) many(ctx context.Context, head, row, tail string, values []any) error {
	width := strings.Count(row, "?")
	for len(values) > 0 {
		n := fits(len(values)/width, q.dialect.rows)
		if _, err := q.exec(ctx, rows(head, row, tail, 0, n), values[:n*width]...); err != nil {
			return err
		}
		values = values[n*width:]
	}
	return nil
}

// eachOf runs a query about any number of rows, like many. The first places in the text, from $1 on, are for what is fixed.
func (q *conn) eachOf(ctx context.Context, scan func(row) error, head, row, tail string, values []any, fixed ...any) error {
	width := strings.Count(row, "?")
	for len(values) > 0 {
		n := fits(len(values)/width, q.dialect.rows)
		if err := q.each(ctx, scan, rows(head, row, tail, len(fixed), n), slices.Concat(fixed, values[:n*width])...); err != nil {
			return err
		}
		values = values[n*width:]
	}
	return nil
}

// fits is the largest size of a statement that exceeds neither n nor what is best for the engine.
func fits(n, most int) int {
	for _, size := range []int{64, 16, 4} {
		if n >= size && most >= size {
			return size
		}
	}
	return 1
}

// rows is the text for n rows, whose values come after some others.
func rows(head, row, tail string, after, n int) string {
	var b strings.Builder
	b.Grow(len(head) + n*(len(row)+16) + len(tail))
	b.WriteString(head)
	place := after
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		for j := range len(row) {
			if row[j] != '?' {
				b.WriteByte(row[j])
				continue
			}
			place++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(place))
		}
	}
	b.WriteString(tail)
	return b.String()
}

// anys are texts as values of a statement.
func anys[T ~string](list []T) []any {
	values := make([]any, len(list))
	for i, text := range list {
		values[i] = string(text)
	}
	return values
}
