package plan

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Checks are what only others can tell about values of reconcile.yaml.
type Checks struct {
	// Zone resolves time zone names, as time.LoadLocation does.
	Zone func(name string) (*time.Location, error)
	// Condition and Message compile the expressions of health rules: those that decide, and those that yield text.
	Condition, Message func(expression string) error
	// Query compiles the programs of ignore rules.
	Query func(program string) (Query, error)
}

// DecodeRules reads reconcile.yaml strictly: an unknown field, a wrong type or a value out of range is a problem of reason
// PolicyInvalid with its place (item.From.Fields, else the file), and the rules must not be used then. A nil item gives the
// defaults.
func DecodeRules(item *gitops.Item, checks Checks) (Rules, []*gitops.Error) {
	rules := DefaultRules()
	if item == nil {
		return rules, nil
	}
	d := decoder{from: item.From, checks: checks}
	d.object("", item.Spec, map[string]func(string, any){
		"interval": d.duration(&rules.Interval, time.Second),
		"prune": d.nested(map[string]func(string, any){
			"enabled": d.boolean(&rules.Prune.Enabled), "maxShare": d.share(&rules.Prune.MaxShare), "maxCount": d.count(&rules.Prune.MaxCount),
		}),
		"hold": d.nested(map[string]func(string, any){
			"destructive": d.boolean(&rules.Hold.Destructive), "kinds": d.texts(&rules.Hold.Kinds),
		}),
		"freeze": d.list(func(path string, v any) { d.window(&rules, path, v) }),
		"retry": d.nested(map[string]func(string, any){
			"first": d.duration(&rules.Retry.First, 100*time.Millisecond), "max": d.duration(&rules.Retry.Max, time.Second),
		}),
		"timeouts": d.nested(map[string]func(string, any){
			"ready": d.duration(&rules.Timeouts.Ready, time.Second), "nodegroups": d.durations(&rules.Timeouts.Nodegroups, time.Second),
		}),
		"ignore":    d.list(func(path string, v any) { d.ignore(&rules, path, v) }),
		"conflicts": d.list(func(path string, v any) { d.conflict(&rules, path, v) }),
		"health":    d.list(func(path string, v any) { d.health(&rules, path, v) }),
		"dependsOn": d.dependences(&rules),
		"decryption": d.nested(map[string]func(string, any){
			"age": d.keyFiles(&rules.Decryption.Age), "kms": d.boolean(&rules.Decryption.KMS),
		}),
		"aws": d.aws(&rules.AWS),
	})
	if rules.Retry.Max < rules.Retry.First {
		d.problem("retry.max", "%s is shorter than retry.first, %s", rules.Retry.Max, rules.Retry.First)
	}
	return rules, d.problems
}

// decoder collects the problems of one file.
type decoder struct {
	from     gitops.Origin
	checks   Checks
	problems []*gitops.Error
}

func (d *decoder) problem(path, format string, args ...any) {
	from := d.from
	from.Position, from.Fields = d.at(path), nil
	if path != "" {
		format, args = "%s: "+format, append([]any{path}, args...)
	}
	d.problems = append(d.problems, gitops.Errorf(gitops.PolicyInvalid, format, args...).At(from))
}

// object reads the fields of v, each by its reader. A null field counts as left out only as a whole file: reconcile.yaml
// that holds nothing is the defaults.
func (d *decoder) object(path string, v any, fields map[string]func(string, any)) {
	m, ok := v.(gitops.Tree)
	if !ok {
		d.problem(path, "want fields, not %s", kindOf(v))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		read, ok := fields[name]
		switch {
		case !ok:
			d.problem(Field(path, name), "unknown field%s", suggest(name, fields))
		case m[name] == nil:
			d.problem(Field(path, name), "has no value")
		default:
			read(Field(path, name), m[name])
		}
	}
}

func (d *decoder) nested(fields map[string]func(string, any)) func(string, any) {
	return func(path string, v any) { d.object(path, v, fields) }
}

func (d *decoder) list(each func(string, any)) func(string, any) {
	return func(path string, v any) {
		items, ok := v.([]any)
		if !ok {
			d.problem(path, "want a list, not %s", kindOf(v))
			return
		}
		for i, item := range items {
			each(Index(path, i), item)
		}
	}
}

func (d *decoder) boolean(into *bool) func(string, any) {
	return func(path string, v any) {
		b, ok := v.(bool)
		if !ok {
			d.problem(path, "want true or false, not %s", kindOf(v))
			return
		}
		*into = b
	}
}

func (d *decoder) share(into *float64) func(string, any) {
	return func(path string, v any) {
		n, ok := asFloat(v)
		if !ok || n < 0 || n > 1 {
			d.problem(path, "want a share from 0 to 1, not %s", kindOf(v))
			return
		}
		*into = n
	}
}

func (d *decoder) count(into *int) func(string, any) {
	return func(path string, v any) {
		n, ok := asFloat(v)
		if !ok || n < 0 || n > 1e9 || n != float64(int(n)) {
			d.problem(path, "want a whole number from 0, not %s", kindOf(v))
			return
		}
		*into = int(n)
	}
}

func (d *decoder) text(into *string) func(string, any) {
	return func(path string, v any) {
		s, ok := v.(string)
		if !ok || s == "" {
			d.problem(path, "want text, not %s", kindOf(v))
			return
		}
		*into = s
	}
}

func (d *decoder) texts(into *[]string) func(string, any) {
	return d.list(func(path string, v any) {
		var s string
		d.text(&s)(path, v)
		*into = append(*into, s)
	})
}

// keyFiles reads names of files: where they are is the process's business, not git's.
func (d *decoder) keyFiles(into *[]string) func(string, any) {
	return func(path string, v any) {
		*into = []string{} // an empty list means none
		d.list(func(path string, v any) {
			var s string
			d.text(&s)(path, v)
			if strings.ContainsAny(s, `/\`) {
				d.problem(path, "want the name of a key file without its folder, not %s", kindOf(v))
			}
			*into = append(*into, s)
		})(path, v)
	}
}

func (d *decoder) duration(into *time.Duration, least time.Duration) func(string, any) {
	return func(path string, v any) {
		s, _ := v.(string)
		span, err := time.ParseDuration(s)
		switch {
		case err != nil:
			d.problem(path, "want a duration such as 90s or 5m, not %s", kindOf(v))
		case span < least:
			d.problem(path, "%s is shorter than the least, %s", span, least)
		default:
			*into = span
		}
	}
}

// durations reads a duration for each name.
func (d *decoder) durations(into *map[string]time.Duration, least time.Duration) func(string, any) {
	return func(path string, v any) {
		m, ok := v.(gitops.Tree)
		if !ok {
			d.problem(path, "want fields, not %s", kindOf(v))
			return
		}
		*into = map[string]time.Duration{}
		for _, name := range slices.Sorted(maps.Keys(m)) {
			var span time.Duration
			d.duration(&span, least)(Field(path, name), m[name])
			(*into)[name] = span
		}
	}
}

// suggest names the field that was probably meant, or all of them.
func suggest(name string, fields map[string]func(string, any)) string {
	known := slices.Sorted(maps.Keys(fields))
	for _, k := range known {
		if strings.EqualFold(strings.ReplaceAll(name, "_", ""), k) || strings.EqualFold(strings.ReplaceAll(name, "-", ""), k) || near(name, k) {
			return fmt.Sprintf(" (did you mean %s?)", k)
		}
	}
	return " (known here: " + strings.Join(known, ", ") + ")"
}

// near reports whether two names differ by one letter added, left out or changed.
func near(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 || len(a) < 3 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) {
		return i == len(a) || a[i+1:] == b[i+1:]
	}
	return a[i:] == b[i+1:]
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		return strconv.Quote(v)
	case gitops.Tree:
		return "fields"
	case []any:
		return "a list"
	}
	return fmt.Sprint(v)
}
