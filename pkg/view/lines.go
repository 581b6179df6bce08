package view

// diffLine is a line of a text diff: '-', '+', ' ' or '…' for lines left out.
type diffLine struct {
	mark rune
	text string
}

// longText is the number of lines beyond which a text is shown as removed and added whole: the comparison is quadratic.
const longText = 2000

// lineDiff compares two texts by their longest common subsequence of lines and keeps one line of context.
func lineDiff(was, is []string) []diffLine {
	head := 0
	for head < len(was) && head < len(is) && was[head] == is[head] {
		head++
	}
	tail := 0
	for tail < len(was)-head && tail < len(is)-head && was[len(was)-1-tail] == is[len(is)-1-tail] {
		tail++
	}
	var out []diffLine
	for _, l := range was[:head] {
		out = append(out, diffLine{' ', l})
	}
	out = append(out, middle(was[head:len(was)-tail], is[head:len(is)-tail])...)
	for _, l := range was[len(was)-tail:] {
		out = append(out, diffLine{' ', l})
	}
	return withContext(out)
}

func middle(was, is []string) []diffLine {
	out := make([]diffLine, 0, len(was)+len(is))
	i, j := 0, 0
	if len(was) <= longText && len(is) <= longText {
		common := commonLengths(was, is)
		for i < len(was) && j < len(is) {
			switch {
			case was[i] == is[j]:
				out = append(out, diffLine{' ', was[i]})
				i, j = i+1, j+1
			case common[i+1][j] >= common[i][j+1]:
				out = append(out, diffLine{'-', was[i]})
				i++
			default:
				out = append(out, diffLine{'+', is[j]})
				j++
			}
		}
	}
	for _, l := range was[i:] {
		out = append(out, diffLine{'-', l})
	}
	for _, l := range is[j:] {
		out = append(out, diffLine{'+', l})
	}
	return out
}

// commonLengths[i][j] is the length of the longest common subsequence of was[i:] and is[j:].
func commonLengths(was, is []string) [][]int {
	table := make([][]int, len(was)+1)
	for i := range table {
		table[i] = make([]int, len(is)+1)
	}
	for i := len(was) - 1; i >= 0; i-- {
		for j := len(is) - 1; j >= 0; j-- {
			if was[i] == is[j] {
				table[i][j] = table[i+1][j+1] + 1
			} else {
				table[i][j] = max(table[i+1][j], table[i][j+1])
			}
		}
	}
	return table
}

// withContext keeps the changed lines and one unchanged line around them.
func withContext(all []diffLine) []diffLine {
	changed := func(i int) bool { return i >= 0 && i < len(all) && all[i].mark != ' ' }
	var out []diffLine
	for i, l := range all {
		switch {
		case changed(i) || changed(i-1) || changed(i+1):
			out = append(out, l)
		case len(out) > 0 && out[len(out)-1].mark != '…':
			out = append(out, diffLine{'…', ""})
		}
	}
	if n := len(out); n > 0 && out[n-1].mark == '…' {
		out = out[:n-1]
	}
	return out
}
