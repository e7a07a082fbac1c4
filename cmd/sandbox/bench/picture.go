package bench

import (
	"errors"
	"fmt"
	"image/color"
	"os"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// curve is what is drawn of an engine.
type curve struct {
	engine, op, label string
	color             color.RGBA
	dashed            bool
}

func curves() []curve {
	orange, blue := color.RGBA{R: 0xd0, G: 0x6b, B: 0x20, A: 0xff}, color.RGBA{R: 0x12, G: 0x6e, B: 0xb5, A: 0xff}
	return []curve{
		{fullClone, opCold, "git clone, kustomize, push", color.RGBA{R: 0x80, G: 0x80, B: 0x80, A: 0xff}, false},
		{shallowClone, opCold, "git clone --depth 1, kustomize, push", orange, false},
		{shallowClone, opWarm, "the same, with the clone kept", orange, true},
		{sparseClone, opCold, "sparse clone without blobs, kustomize, push", color.RGBA{R: 0x7a, G: 0x4f, B: 0xb0, A: 0xff}, false},
		{ours, opCold, "Boatlift, cold", blue, false},
		{ours, opProven, "Boatlift, warm", blue, true},
	}
}

// drawCost writes a picture of what a promotion costs against the size of the repository, both on logarithmic axes. It stands on white, so
// that it can be read on a dark page too.
func drawCost(path string, cells []cell) error {
	p := plot.New()
	p.BackgroundColor = color.White
	p.Title.Text, p.Title.Padding = "Time of one promotion: clone, edit, commit, push", vg.Points(10)
	p.X.Label.Text, p.Y.Label.Text = "files in the repository", "milliseconds"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(decades), plot.TickerFunc(decades)
	p.X.Padding, p.Y.Padding = vg.Points(4), vg.Points(4)
	for _, f := range []*font.Font{
		&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font,
	} {
		f.Variant = "Sans"
	}
	p.Title.TextStyle.Font.Size = vg.Points(13)
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.Padding, p.Legend.YOffs, p.Legend.XOffs = vg.Points(3), vg.Points(-4), vg.Points(6)
	p.Legend.ThumbnailWidth = vg.Points(26)
	p.Legend.TextStyle.Font.Size = vg.Points(9)
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{Y: 0xdd}, color.Gray{Y: 0xdd}
	p.Add(grid)
	least, most := 0.0, 0.0
	for _, l := range curves() {
		var points plotter.XYs
		for _, c := range cells {
			if c.Engine == l.engine && c.Op == l.op && c.LatencyMS == 0 {
				points = append(points, plotter.XY{X: float64(c.Files), Y: c.Median.MS})
				if most = max(most, c.Median.MS); least == 0 || c.Median.MS < least {
					least = c.Median.MS
				}
			}
		}
		if len(points) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return fmt.Errorf("draw %s: %w", l.engine, err)
		}
		line.Color, dots.Color, line.Width, dots.Shape, dots.Radius = l.color, l.color, vg.Points(2), draw.CircleGlyph{}, vg.Points(2.5)
		if l.dashed {
			line.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
		}
		p.Add(line, dots)
		p.Legend.Add(l.label, line)
	}
	p.Y.Min, p.Y.Max = least/1.5, most*12 // the legend has the room above the curves
	canvas := vgsvg.New(20*vg.Centimeter, 12*vg.Centimeter)
	const margin = vg.Length(10)
	whole := draw.New(canvas)
	whole.SetColor(color.White)
	whole.Fill(whole.Rectangle.Path())
	p.Draw(draw.Crop(whole, margin, -margin, margin, -margin))
	if err := save(path, canvas); err != nil {
		return fmt.Errorf("write the picture: %w", err)
	}
	return nil
}

func save(path string, canvas *vgsvg.Canvas) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = canvas.WriteTo(file)
	return err
}

// decades marks 1, 10, 100 … as people write them, and the steps between without words.
func decades(least, most float64) (ticks []plot.Tick) {
	for decade := 1.0; decade <= most; decade *= 10 {
		for step := 1.0; step < 10; step++ {
			at := decade * step
			if at < least || at > most {
				continue
			}
			label := ""
			if step == 1 {
				label = thousands(int(at))
			}
			ticks = append(ticks, plot.Tick{Value: at, Label: label})
		}
	}
	return ticks
}

func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return thousands(n/1000) + fmt.Sprintf(",%03d", n%1000)
}
