package web

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Charts are drawn on the server as SVG in units of a thousandth of their width, with no style of their own: the page's
// policy allows neither scripts nor styles in it.
const chartWidth = 1000

// indexSpan is how far an index is drawn to either side of 100, as a factor: from 10 to 1,000, by its logarithm, so
// that half as often and twice as often are equally far away.
const indexSpan = 10

// indexBar draws an index with its interval.
type indexBar struct {
	X, Width  int    // of the bar, which begins or ends at the middle
	Low, High int    // of the interval
	Class     string // more or less, and unsure where the interval holds 100
}

// newIndexBar places an index and the ends of its interval.
func newIndexBar(index, low, high float64) indexBar {
	at, b := indexAt(index), indexBar{Low: indexAt(low), High: indexAt(high), Class: "more"}
	b.X, b.Width = min(at, chartWidth/2), max(at, chartWidth/2)-min(at, chartWidth/2)
	if index < 100 {
		b.Class = "less"
	}
	if low <= 100 && high >= 100 {
		b.Class += " unsure"
	}
	return b
}

func indexAt(index float64) int {
	if index <= 0 {
		return 0
	}
	at := chartWidth / 2 * (1 + math.Log(index/100)/math.Log(indexSpan))
	return int(math.Round(min(max(at, 0), chartWidth)))
}

// shareBar draws two shares, one above the other; scale is the share that fills the width.
type shareBar struct{ Width, Base int }

func newShareBar(share, base, scale float64) shareBar {
	if scale <= 0 {
		return shareBar{}
	}
	width := func(v float64) int { return int(math.Round(chartWidth * min(v/scale, 1))) }
	return shareBar{width(share), width(base)}
}

// percent words a share.
func percent(share float64) string {
	switch p := 100 * share; {
	case share == 0:
		return "0 %"
	case p < 0.01:
		return "<0.01 %"
	case p < 1:
		return fmt.Sprintf("%.2f %%", p)
	default:
		return fmt.Sprintf("%.1f %%", p)
	}
}

// times words an index as people say it.
func times(index float64) string {
	switch f := index / 100; {
	case f >= 10:
		return fmt.Sprintf("%.0f×", f)
	case f >= 0.095:
		return fmt.Sprintf("%.1f×", f)
	default:
		return fmt.Sprintf("%.2f×", f)
	}
}

// The measures of an UpSet chart, in pixels.
const (
	upsetLeft   = 190 // names and sizes of the sets
	upsetTop    = 150 // the bars of the intersections
	upsetColumn = 34
	upsetRow    = 26
	upsetMost   = 31 // columns, which five sets fill
)

// upset is an UpSet chart (Lex and others 2014): a column for each group of people who are in exactly these sets.
type upset struct {
	Width, Height int
	Sets          []upsetSet
	Columns       []upsetColumnView
	Left          int // columns that are not drawn
}

type upsetSet struct {
	Name       string
	Size       string
	Y, TextY   int
	BarX, BarW int
}

type upsetColumnView struct {
	X, BarY, BarH int
	Label         string
	LabelY        int
	Title         string
	Dots          []upsetDot
	From, To      int // of the line that joins the dots
}

type upsetDot struct {
	Y  int
	On bool
}

// intersection is how many people are in exactly these sets, given by their places.
type intersection struct {
	In   []int
	Size uint64
}

// newUpset draws the intersections, the largest first; those of nobody are left out.
func newUpset(names []string, sizes []uint64, parts []intersection) upset {
	parts = slices.DeleteFunc(slices.Clone(parts), func(p intersection) bool { return p.Size == 0 })
	slices.SortStableFunc(parts, func(a, b intersection) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(len(a.In), len(b.In)))
	})
	u := upset{Left: max(0, len(parts)-upsetMost)}
	parts = parts[:len(parts)-u.Left]
	u.Width, u.Height = upsetLeft+upsetColumn*len(parts)+8, upsetTop+upsetRow*len(names)+8
	u.Sets = upsetSets(names, sizes)
	most := uint64(1)
	for _, p := range parts {
		most = max(most, p.Size)
	}
	for i, p := range parts {
		c := upsetColumnView{X: upsetLeft + upsetColumn*i + upsetColumn/2, Label: short(p.Size), Title: group(p.Size) + " people"}
		c.BarH = max(1, int(float64(upsetTop-30)*float64(p.Size)/float64(most)))
		c.BarY = upsetTop - 8 - c.BarH
		c.LabelY = c.BarY - 4
		for set := range names {
			on := slices.Contains(p.In, set)
			y := upsetTop + upsetRow*set + upsetRow/2
			c.Dots = append(c.Dots, upsetDot{y, on})
			if on && c.From == 0 {
				c.From = y
			}
			if on {
				c.To = y
			}
		}
		u.Columns = append(u.Columns, c)
	}
	return u
}

func upsetSets(names []string, sizes []uint64) (sets []upsetSet) {
	most := max(1, slices.Max(sizes))
	const room = 50 // of the bars, at the right of the names
	for i, name := range names {
		w := int(math.Round(room * float64(sizes[i]) / float64(most)))
		y := upsetTop + upsetRow*i
		sets = append(sets, upsetSet{
			Name: cut(name, 16), Size: group(sizes[i]), Y: y + 7, TextY: y + upsetRow/2 + 4, BarX: upsetLeft - 12 - w, BarW: w,
		})
	}
	return sets
}

// cut shortens a text to so many characters.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// short words a number in a few characters.
func short(n uint64) string {
	switch f := float64(n); {
	case n < 10_000:
		return strconv.FormatUint(n, 10)
	case n < 999_500:
		return fmt.Sprintf("%.0fk", f/1e3)
	case n < 99_950_000:
		return fmt.Sprintf("%.1fM", f/1e6)
	default:
		return fmt.Sprintf("%.0fM", f/1e6)
	}
}
