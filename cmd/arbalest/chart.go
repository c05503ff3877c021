package main

import (
	"fmt"
	"io"
	"strings"
)

// barWidth is how wide the widest bar of a chart is.
const barWidth = 44

// drawBars draws rows of (group, label, value) as bars, a group's together.
func drawBars(out io.Writer, rows [][]string) {
	most, labelWidth, groupWidth := 0.0, 0, 0
	for _, r := range rows {
		most = max(most, atof(r[2]))
		groupWidth, labelWidth = max(groupWidth, len(r[0])), max(labelWidth, len(r[1]))
	}
	group := ""
	for _, r := range rows {
		head := r[0]
		if head == group {
			head = ""
		}
		group = r[0]
		fmt.Fprintf(out, "  %-*s  %-*s %s %s\n", groupWidth, head, labelWidth, r[1], bar(atof(r[2])/most), r[2])
	}
}

// bar draws a share of barWidth in eighths of a character.
func bar(share float64) string {
	eighths := int(share*barWidth*8 + 0.5)
	b := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		b += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	if b == "" {
		b = "▏"
	}
	return b
}

// columnHeight is how many lines a column chart has.
const columnHeight = 6

// drawColumns draws rows of (label, value) as columns, a character each, with
// the first and the last label below.
func drawColumns(out io.Writer, rows [][]string) {
	most := 0.0
	for _, r := range rows {
		most = max(most, atof(r[1]))
	}
	for line := columnHeight - 1; line >= 0; line-- {
		scale := ""
		if line == columnHeight-1 {
			scale = fmt.Sprint(int(most))
		}
		fmt.Fprintf(out, "  %5s ", scale)
		for _, r := range rows {
			eighths := int(atof(r[1])/most*columnHeight*8+0.5) - line*8
			fmt.Fprint(out, string([]rune(" ▁▂▃▄▅▆▇█")[max(0, min(eighths, 8))]))
		}
		fmt.Fprintln(out)
	}
	if len(rows) > 1 {
		first, last := rows[0][0], rows[len(rows)-1][0]
		fmt.Fprintf(out, "        %s%*s\n", first, max(len(rows)-len(first), len(last)+1), last)
	}
}
