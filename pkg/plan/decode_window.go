package plan

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// windowText is a freeze window as written.
type windowText struct {
	name, from, until, timezone, scope string
	days                               []string
}

func (d *decoder) window(rules *Rules, path string, v any) {
	before := len(d.problems)
	text := windowText{timezone: "UTC", scope: "all"}
	d.object(path, v, map[string]func(string, any){
		"name": d.text(&text.name), "from": d.moment(&text.from), "until": d.moment(&text.until),
		"days": d.texts(&text.days), "timezone": d.text(&text.timezone), "scope": d.text(&text.scope),
	})
	if len(d.problems) > before {
		return
	}
	if text.name == "" || text.from == "" || text.until == "" {
		d.problem(path, "name, from and until are all needed")
		return
	}
	w := Window{Name: text.name}
	switch text.scope {
	case "all":
	case "infra":
		w.Domain = gitops.EKS
	case "addons":
		w.Domain = gitops.K8s
	default:
		d.problem(Field(path, "scope"), "want all, infra or addons, not %q", text.scope)
	}
	if len(text.days) == 0 {
		d.once(&w, path, text)
	} else {
		d.weekly(&w, path, text)
	}
	rules.Freeze = append(rules.Freeze, w)
}

// moment reads a time as text; YAML readers that know timestamps have made a time of it already.
func (d *decoder) moment(into *string) func(string, any) {
	return func(path string, v any) {
		if at, ok := v.(time.Time); ok {
			v = at.Format(time.RFC3339)
		}
		d.text(into)(path, v)
	}
}

func (d *decoder) once(w *Window, path string, text windowText) {
	for _, bound := range []struct {
		field, said string
		at          *time.Time
	}{{"from", text.from, &w.From}, {"until", text.until, &w.Until}} {
		parsed, err := time.Parse(time.RFC3339, bound.said)
		if err != nil {
			d.problem(Field(path, bound.field), "want a time such as 2026-12-20T18:00:00Z, or a time of day together with days; not %q", bound.said)
			return
		}
		*bound.at = parsed
	}
	if !w.From.Before(w.Until) {
		d.problem(Field(path, "until"), "is not after from")
	}
}

func (d *decoder) weekly(w *Window, path string, text windowText) {
	var ok bool
	if w.Start, ok = timeOfDay(text.from); !ok {
		d.problem(Field(path, "from"), "want a time of day such as 18:00, not %q", text.from)
	}
	if w.End, ok = timeOfDay(text.until); !ok {
		d.problem(Field(path, "until"), "want a time of day such as 06:00, not %q", text.until)
	}
	for i, name := range text.days {
		day, ok := weekday(name)
		if !ok {
			d.problem(Index(Field(path, "days"), i), "want Mon, Tue, Wed, Thu, Fri, Sat or Sun, not %q", name)
		}
		w.Days = append(w.Days, day)
	}
	zone, err := d.checks.Zone(text.timezone)
	if err != nil {
		d.problem(Field(path, "timezone"), "%q is no time zone of the IANA database", text.timezone)
		zone = time.UTC
	}
	w.Zone = zone
}

// timeOfDay reads HH:MM from 00:00 to 24:00.
func timeOfDay(s string) (time.Duration, bool) {
	if !regexp.MustCompile(`^\d\d:\d\d$`).MatchString(s) {
		return 0, false
	}
	hours, _ := strconv.Atoi(s[:2])
	minutes, _ := strconv.Atoi(s[3:])
	of := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	return of, minutes < 60 && of <= 24*time.Hour
}

func weekday(name string) (time.Weekday, bool) {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if strings.EqualFold(name, day.String()[:3]) || strings.EqualFold(name, day.String()) {
			return day, true
		}
	}
	return 0, false
}
