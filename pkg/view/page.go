package view

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/eks-gitops/reconciler/pkg/plan"
)

// page collects lines of text.
type page struct {
	Options
	b bytes.Buffer
}

// ink is a colour by its meaning (ANSI SGR parameters).
type ink string

const (
	inkNone    ink = ""
	inkGood    ink = "32"
	inkChange  ink = "33"
	inkReplace ink = "35"
	inkBad     ink = "31"
	inkMove    ink = "36"
	inkFaint   ink = "2"
	inkStrong  ink = "1"
	inkHold    ink = "33;1"
)

func (o Options) paint(c ink, s string) string {
	if !o.Color || c == inkNone || s == "" {
		return s
	}
	return "\x1b[" + string(c) + "m" + s + "\x1b[0m"
}

func inkOf(a plan.Action) ink {
	switch a {
	case plan.Create:
		return inkGood
	case plan.Update:
		return inkChange
	case plan.Replace:
		return inkReplace
	case plan.Delete:
		return inkBad
	case plan.Wait:
		return inkMove
	}
	return inkNone
}

// line ends a line; it is cut to the width of the terminal.
func (p *page) line(s string) {
	p.b.WriteString(strings.TrimRight(cutTo(s, p.Width), " "))
	p.b.WriteByte('\n')
}

// gap leaves an empty line, but none at the top.
func (p *page) gap() {
	if p.b.Len() > 0 {
		p.b.WriteByte('\n')
	}
}

func (p *page) bytes() []byte { return p.b.Bytes() }

// cell is text with its colour.
type cell struct {
	ink  ink
	text string
}

// row is a line of cells: the head fills its column, the rest follow with three spaces between.
func (p *page) row(indent int, head string, headInk ink, column int, cells ...cell) {
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", indent))
	b.WriteString(p.paint(headInk, head))
	at := indent + width(head)
	first := true
	for _, c := range cells {
		if c.text == "" {
			continue
		}
		space := 3
		if first {
			space = max(2, column-at)
			first = false
		}
		b.WriteString(strings.Repeat(" ", space))
		b.WriteString(p.paint(c.ink, c.text))
	}
	p.line(b.String())
}

// width is the number of columns of a text without colours; the symbols used here take one column each.
func width(s string) int { return utf8.RuneCountInString(s) }

func pad(s string, to int) string { return s + strings.Repeat(" ", max(0, to-width(s))) }

// cutTo shortens a line to a width, passing colour codes through. Zero means no bound.
func cutTo(s string, to int) string {
	if to <= 0 || width(s) <= to {
		return s
	}
	var b strings.Builder
	seen, code := 0, false
	for _, r := range s {
		switch {
		case r == '\x1b':
			code = true
		case code:
			code = r != 'm'
		default:
			if seen++; seen == to {
				b.WriteRune('…')
			}
			if seen >= to {
				continue
			}
		}
		b.WriteRune(r)
	}
	return b.String()
}

// clean makes a text from outside fit for a line of a terminal: control characters would move the cursor or worse.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return '�'
		}
		return r
	}, s)
}

// ago is how long before now a time was, in words; "" when either is not known.
func (o Options) ago(t time.Time) string {
	if o.Now.IsZero() || t.IsZero() {
		return ""
	}
	switch d := o.Now.Sub(t); {
	case d < time.Second:
		return "just now"
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", d/time.Hour)
	default:
		return fmt.Sprintf("%dd ago", d/(24*time.Hour))
	}
}

// clock is a time of day, or a date with it when it is not today.
func (o Options) clock(t time.Time, layout string) string {
	zone := o.Zone
	if zone == nil {
		zone = time.UTC
	}
	t = t.In(zone)
	if now := o.Now.In(zone); !o.Now.IsZero() && (now.YearDay() != t.YearDay() || now.Year() != t.Year()) {
		return t.Format("Jan _2 " + layout)
	}
	return t.Format(layout)
}

// span is a duration as people say it: two units at most.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 10*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + "s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return units(d, time.Minute, "m", time.Second, "s")
	case d < 24*time.Hour:
		return units(d, time.Hour, "h", time.Minute, "m")
	}
	return units(d, 24*time.Hour, "d", time.Hour, "h")
}

func units(d, big time.Duration, bigName string, small time.Duration, smallName string) string {
	if rest := d % big / small; rest > 0 {
		return fmt.Sprintf("%d%s%d%s", d/big, bigName, rest, smallName)
	}
	return fmt.Sprintf("%d%s", d/big, bigName)
}

// Count is a number of things in words: "1 change", "2 changes".
func Count(n int, one string) string { return count(n, one, one+"s") }

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
