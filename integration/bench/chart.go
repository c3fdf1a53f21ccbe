package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// The chart's measures, in pixels.
const (
	chartLeft   = 300 // names of the workloads
	chartWidth  = 560 // of the scale
	chartTop    = 78
	chartLine   = 22
	chartMargin = 24
	chartDot    = 4.5
)

// The chart's scale goes from the slowest to the fastest, as a part of the limit.
const (
	slowest = 0.005
	fastest = 20
)

// series is one contender's dots.
type series struct{ name, colour string }

func chartSeries() []series {
	return []series{
		{goNFS, "#c98a00"},
		{ganesha, "#8e5bb5"},
		{system, "#8a8a8a"},
		{overMany, "#7fb8e6"},
		{overOne, "#3d8fd1"},
		{nixnfsd, "#0b5fa5"}, // over the others
	}
}

// draw draws how fast each contender is beside the limit, as an SVG. how says how it was made.
func (r *report) draw(how string) []byte {
	var b bytes.Buffer
	var shown []row
	for _, w := range rows() {
		if _, ok := r.ratio(w.key, nixnfsd, w.key, limit, rate); ok && w.compares() && w.unit != millis {
			shown = append(shown, w)
		}
	}
	height := chartTop + chartLine*len(shown) + 2*chartMargin
	width := chartLeft + chartWidth + chartMargin
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n", width, height, width, height)
	fmt.Fprintf(&b, "<!-- made by: %s -->\n", html.EscapeString(how))
	fmt.Fprintf(&b, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", width, height)
	chartText(&b, chartMargin, 22, "start", 14, "How fast, beside the least NFSv3 server in Go that makes the real system calls (1)")
	drawLegend(&b)
	drawScale(&b, chartTop+chartLine*len(shown))
	for i, w := range shown {
		r.drawLine(&b, &w, chartTop+chartLine*i+chartLine/2)
	}
	fmt.Fprintln(&b, "</svg>")
	return b.Bytes()
}

func chartText(b *bytes.Buffer, x, y float64, anchor string, size int, text string) {
	fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\" fill=\"#222\">%s</text>\n", x, y, anchor, size, html.EscapeString(text))
}

func drawLegend(b *bytes.Buffer) {
	for i, s := range chartSeries() {
		x := float64(chartLeft + i*chartWidth/len(chartSeries()))
		fmt.Fprintf(b, "<circle cx=\"%.1f\" cy=\"44\" r=\"%.1f\" fill=\"%s\"/>\n", x, chartDot, s.colour)
		chartText(b, x+9, 48, "start", 12, s.name)
	}
}

// chartX is where a part of the limit is on the scale, which is logarithmic.
func chartX(part float64) float64 {
	part = min(max(part, slowest), fastest)
	return chartLeft + chartWidth*math.Log(part/slowest)/math.Log(fastest/slowest)
}

func drawScale(b *bytes.Buffer, bottom int) {
	for _, part := range []float64{0.01, 0.03, 0.1, 0.3, 1, 3, 10} {
		colour := "#ddd"
		if part == 1 {
			colour = "#888"
		}
		fmt.Fprintf(b, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"%s\"/>\n", chartX(part), chartTop-8, chartX(part), bottom, colour)
		chartText(b, chartX(part), float64(bottom+16), "middle", 11, fmt.Sprint(part))
	}
}

// drawLine draws a workload's dots.
func (r *report) drawLine(b *bytes.Buffer, w *row, y int) {
	chartText(b, chartLeft-14, float64(y+4), "end", 12, w.title)
	for _, s := range chartSeries() {
		part, ok := r.ratio(w.key, s.name, w.key, limit, rate)
		if !ok {
			continue
		}
		fmt.Fprintf(b, "<circle cx=\"%.1f\" cy=\"%d\" r=\"%.1f\" fill=\"%s\"><title>%s: %s</title></circle>\n",
			chartX(part), y, chartDot, s.colour, s.name, figure(part))
	}
}
