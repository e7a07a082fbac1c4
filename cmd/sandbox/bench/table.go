package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// said is what people call the kinds of orders.
func said(op string) string {
	return map[string]string{
		opCold: "cold", opMoved: "warm, main moved", opWarm: "warm", opProven: "warm, a webhook told main",
	}[op]
}

func (r results) print(to io.Writer) {
	w := tabwriter.NewWriter(to, 0, 4, 2, ' ', tabwriter.AlignRight)
	files, latency := -1, -1
	for _, c := range r.cells {
		if c.Files != files || c.LatencyMS != latency {
			files, latency = c.Files, c.LatencyMS
			_ = w.Flush()
			fmt.Fprintf(to, "\nOne promotion in a repository of %d files, %d ms per request (medians of %d runs side by side)\n\n", files, latency, rounds)
			fmt.Fprintln(w, "how\t\tms\ttimes faster\tkB received\tkB sent\trequests\tMB resident\t")
		}
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.1f\t%.1f\t%.1f\t%.0f\t%.0f\t\n", c.Engine, said(c.Op), c.Median.MS, c.Ratio, c.ToClient/1000, c.ToServer/1000, c.Requests, c.Median.RSSMB)
	}
	_ = w.Flush()
	if len(r.cells) > 0 {
		fmt.Fprint(to, "\nA command that needs less memory than this program shows this program's.\n\n")
	}
	for _, name := range slices.Sorted(maps.Keys(r.figures)) {
		fmt.Fprintf(to, "%-28s %.4g\n", name, r.figures[name])
	}
}
