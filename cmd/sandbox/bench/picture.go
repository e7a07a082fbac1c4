package bench

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// draw writes a picture of what a promotion costs against the size of the repository, both on logarithmic axes.
func draw(path string, cells []cell) error {
	p := plot.New()
	p.Title.Text = "Time of one promotion, with no latency"
	p.X.Label.Text, p.Y.Label.Text = "files in the repository", "milliseconds"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.TextStyle.Font.Size = vg.Points(9)
	p.Add(plotter.NewGrid())
	for _, l := range []struct {
		engine, op string
		color      color.Color
		dashed     bool
	}{
		{fullClone, opCold, color.Gray{0x90}, false},
		{shallowClone, opCold, color.RGBA{R: 0xd0, G: 0x6b, B: 0x20, A: 0xff}, false},
		{shallowClone, opWarm, color.RGBA{R: 0xd0, G: 0x6b, B: 0x20, A: 0xff}, true},
		{sparseClone, opCold, color.RGBA{R: 0x7a, G: 0x4f, B: 0xb0, A: 0xff}, false},
		{ours, opCold, color.RGBA{R: 0x12, G: 0x6e, B: 0xb5, A: 0xff}, false},
		{ours, opProven, color.RGBA{R: 0x12, G: 0x6e, B: 0xb5, A: 0xff}, true},
	} {
		var points plotter.XYs
		for _, c := range cells {
			if c.Engine == l.engine && c.Op == l.op && c.LatencyMS == 0 {
				points = append(points, plotter.XY{X: float64(c.Files), Y: c.Median.MS})
			}
		}
		if len(points) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return fmt.Errorf("draw %s: %w", l.engine, err)
		}
		line.Color, dots.Color, line.Width = l.color, l.color, vg.Points(2)
		if l.dashed {
			line.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
		}
		p.Add(line, dots)
		p.Legend.Add(l.engine+", "+said(l.op), line)
	}
	if err := p.Save(18*vg.Centimeter, 11*vg.Centimeter, path); err != nil {
		return fmt.Errorf("write the picture: %w", err)
	}
	return nil
}
